"""Keeps the clients on this machine. Import it before any client.

The clients read their URLs from the environment when they are constructed, and
some check for updates or send telemetry by default. The audit hook refuses what
the settings miss: it sees every name lookup and every connection of Python, by
any library.
"""

import ipaddress
import os
import sys

SERVER = os.environ["ORS_BASE_URL"].rstrip("/")
IS_REFERENCE = os.environ.get("ORS_IS_REFERENCE") == "1"
KEY = "key-of-the-tests"

_UNSET = ("OPENREWARD_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_SET = {
    "OPENREWARD_SESSION_URL": SERVER,
    "OPENREWARD_API_URL": SERVER,
    "OPENREWARD_URL": SERVER,
    "OPENREWARD_API_KEY": KEY,
    "OPENREWARD_DISABLE_UPDATE_CHECK": "1",
    "NO_PROXY": "127.0.0.1,localhost",
    "no_proxy": "127.0.0.1,localhost",
}


class LeftTheMachine(RuntimeError):
    """A connection to an address other than loopback was attempted."""


def _is_local(host):
    if isinstance(host, bytes):
        host = host.decode()
    if host in (None, "", "localhost"):
        return True
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return False


def _refuse_others(event, args):
    if event == "socket.getaddrinfo":
        host = args[0]
    elif event in ("socket.connect", "socket.sendto") and isinstance(args[1], tuple):
        host = args[1][0]
    elif event in ("socket.gethostbyname", "socket.gethostbyaddr"):
        host = args[0]
    else:
        return
    if not _is_local(host):
        print(f"refused an attempt to reach {host!r}", file=sys.stderr, flush=True)
        raise LeftTheMachine(repr(host))


os.environ.update(_SET)
for _name in _UNSET:
    os.environ.pop(_name, None)
sys.addaudithook(_refuse_others)
