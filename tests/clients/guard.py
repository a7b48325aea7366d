"""Tests `loopback`, which guards the other tests."""

import socket
import unittest
from urllib.request import ProxyHandler, build_opener

from loopback import SERVER, LeftTheMachine


class Guard(unittest.TestCase):
    def test_other_addresses_are_refused(self):
        for address in ("192.0.2.1", "2001:db8::1"):
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            with socket.socket(family) as sock, self.assertRaises(LeftTheMachine):
                sock.connect((address, 80))
        with self.assertRaises(LeftTheMachine):
            socket.getaddrinfo("example.test", 80)

    def test_the_server_is_reached(self):
        with build_opener(ProxyHandler({})).open(SERVER + "/health") as answer:
            self.assertEqual(answer.status, 200)
