"""Clients of HTTP in an environment, without a component."""

import json
import subprocess
import sys
import unittest
from unittest import mock

from orwd_guest.network import concurrent, exchange
from orwd_guest.network.exchange import Exchange, Refused

POST = b"POST /v1?x=y HTTP/1.1\r\nHost: a.com\r\nCookie: c=d\r\nX-Key: k\r\nContent-Length: 4\r\n\r\nbody"


class Requests(unittest.TestCase):
    def answer(self, parts, tls=True, port=443, result=(200, [("x-a", "b")], b"hi")):
        """Feeds a request in parts. Returns what was sent, and the response."""
        send = mock.Mock(side_effect=[result] if isinstance(result, tuple) else result)
        made = Exchange("a.com", port)
        made.tls = tls
        with mock.patch.object(exchange, "send", send):
            responses = [made.feed(part) for part in parts]
        self.assertEqual([response for response in responses[:-1] if response is not None], [])
        return send.call_args.args, responses[-1]

    def test_a_request_is_sent_once_it_is_whole(self):
        sent, response = self.answer([POST[:9], POST[9:-2], POST[-2:]])
        self.assertEqual(sent, ("POST", "https://a.com/v1?x=y", [("X-Key", "k")], b"body"))
        head, _, body = response.partition(b"\r\n\r\n")
        self.assertEqual(body, b"hi")
        self.assertTrue(head.startswith(b"HTTP/1.1 200 OK\r\nx-a: b\r\n"), head)
        self.assertIn(b"Content-Length: 2\r\nConnection: close", head)

    def test_a_body_in_chunks_is_put_together(self):
        head = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
        sent, _ = self.answer([head, b"2\r\nbo\r\n2;x\r\n", b"dy\r\n0\r\n", b"\r\n"], tls=False, port=8080)
        self.assertEqual(sent, ("POST", "http://a.com:8080/", [], b"body"))

    def test_what_the_host_refuses_is_a_response_that_is_not_repeated(self):
        for code, status in [("not-granted", b"403 "), ("refused", b"403 "), ("in-doubt", b"409 ")]:
            _, response = self.answer([POST], result=[Refused(code, "no rule allows it")])
            head, _, body = response.partition(b"\r\n\r\n")
            self.assertTrue(head.startswith(b"HTTP/1.1 " + status), head)
            self.assertIn(b"x-should-retry: false", head)
            self.assertEqual(json.loads(body)["error"]["message"], "no rule allows it")

    def test_what_is_no_request_is_an_error(self):
        made = Exchange("a.com", 22)
        with self.assertRaisesRegex(OSError, "HTTP/1.1 requests only"):
            made.feed(b"SSH-2.0-x\r\n\r\n")
        with self.assertRaisesRegex(OSError, "more than"):
            made.feed(b"x" * (exchange.LIMIT + 1))

    def test_while_the_component_is_built_nothing_is_sent(self):
        with self.assertRaisesRegex(OSError, "while the component is built"):
            Exchange("a.com", 80).feed(POST)


CLIENTS = """
import http.client, urllib.error, urllib.request
from orwd_guest import calls, event_loop, network
from orwd_guest.network import concurrent, exchange

event_loop.install()
network.install()
asked = []

def send(method, url, headers, body):
    asked.append((method, url, body))
    if "dead" in url:
        raise ConnectionError("cannot connect")
    return 200, [("content-type", "text/plain")], b"answer %d" % len(asked)

exchange.send = send
started = {}

def start(request):
    started[len(started)] = request
    return len(started) - 1

def wait():
    # The last one has its result first.
    number, request = started.popitem()
    try:
        return number, send(*request)
    except OSError as error:
        return number, error

concurrent.start, concurrent.wait = start, wait
print(urllib.request.urlopen("https://a.com/x", data=b"1").read())
connection = http.client.HTTPSConnection("a.com", 8443)
connection.request("PUT", "/y", body=b"2")
print(connection.getresponse().read())
try:
    urllib.request.urlopen("http://dead.com")
except OSError as error:
    print(error)

async def main():
    import asyncio
    import ssl
    reader, writer = await asyncio.open_connection("a.com", 443, ssl=ssl.create_default_context())
    writer.write(b"GET /z HTTP/1.1\\r\\n\\r\\n")
    return (await reader.read()).split(b"\\r\\n\\r\\n")[1]

print(calls.run(main))

async def ask(name):
    import asyncio
    reader, writer = await asyncio.open_connection(name, 80)
    writer.write(b"GET / HTTP/1.1\\r\\n\\r\\n")
    try:
        return (await reader.read()).split(b"\\r\\n\\r\\n")[1]
    except OSError as error:
        return error

async def several():
    import asyncio
    busy = asyncio.ensure_future(ask("busy.com"))
    # A task that waits for nothing else.
    while not busy.done():
        await asyncio.sleep(0)
    asked.clear()
    print(await asyncio.gather(*map(ask, ["a.com", "dead.com", "b.com"]), asyncio.sleep(0, "slept")))
    print([url for _, url, _ in asked])

print(asked)
calls.run(several)
"""


class Clients(unittest.TestCase):
    def test_clients_of_the_standard_library_work_as_they_are(self):
        # In a process of its own, since it gets other sockets.
        done = subprocess.run([sys.executable, "-c", CLIENTS], capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        lines = done.stdout.splitlines()
        self.assertEqual(lines[:2], ["b'answer 1'", "b'answer 2'"])
        self.assertIn("cannot connect", lines[2])
        self.assertEqual(lines[3], "b'answer 4'")
        self.assertEqual(
            lines[4],
            str(
                [
                    ("POST", "https://a.com/x", b"1"),
                    ("PUT", "https://a.com:8443/y", b"2"),
                    ("GET", "http://dead.com/", b""),
                    ("GET", "https://a.com/z", b""),
                ]
            ),
        )
        # All were started before the first had its result.
        self.assertEqual(lines[5], "[b'answer 3', ConnectionError('cannot connect'), b'answer 1', 'slept']")
        self.assertEqual(lines[6], str(["http://b.com/", "http://dead.com/", "http://a.com/"]))

    def test_what_nobody_awaits_any_more_is_ended(self):
        loop = mock.Mock()
        loop.is_closed.return_value = False
        request = exchange.Request("GET", "http://a.com/", [], b"")
        with (
            mock.patch.object(concurrent, "start", side_effect=[1, 2]),
            mock.patch.object(concurrent, "wait", return_value=(1, (200, [], b""))),
            mock.patch.object(concurrent, "cancel") as cancel,
        ):
            done, dropped = mock.Mock(), mock.Mock()
            concurrent.begin(loop, request, done)
            pending = concurrent.begin(loop, request, dropped)
            concurrent.end(concurrent.begin(loop, request, dropped))
            concurrent.proceed()
            loop.call_soon.assert_called_once_with(done, (200, [], b""))
            self.assertTrue(concurrent.awaited_by(loop))
            concurrent.end(pending)
            cancel.assert_called_once_with(2)
            self.assertFalse(concurrent.awaited_by(loop))


if __name__ == "__main__":
    unittest.main()
