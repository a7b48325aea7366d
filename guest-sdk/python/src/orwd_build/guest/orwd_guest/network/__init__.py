"""Sockets and TLS of an environment that makes HTTP requests.

There are no sockets. What the clients of Python write to one is read as an HTTP
request, the host sends it, and they read its response from the socket. So clients
work as they are: `urllib`, `http.client`, `requests`, `httpx` and what is made of
them.
"""

import contextlib
import importlib
import sys

from orwd_guest.network import concurrent, exchange, sockets, tls


def install() -> None:
    """Makes `socket` and `ssl` those of this package."""
    tls.install()
    sockets.install()
    # They look for TLS when they are imported.
    for name in ("http.client", "urllib.request"):
        if name in sys.modules:
            importlib.reload(sys.modules[name])


#: What clients import when they are first used, which is slow in a session.
_LATE = {
    "httpx": ("anyio", "anyio._backends._asyncio", "httpcore", "httpcore._backends.anyio"),
    "httpx2": ("anyio", "anyio._backends._asyncio", "httpcore2", "httpcore2._backends.anyio"),
}


def warm() -> None:
    """Imports what the clients that are imported import when they are used."""
    for client, names in _LATE.items():
        for name in names if client in sys.modules else ():
            with contextlib.suppress(ImportError):
                importlib.import_module(name)


def refuse() -> None:
    """Lets every request fail, in an environment that asks for no network."""
    exchange.send = exchange.no_network
    concurrent.start = lambda request: exchange.no_network(*request)


def connect() -> None:
    """Lets requests go to the host, from the end of the build on."""
    from orwd_guest.network import wire

    exchange.send = wire.send
    concurrent.start, concurrent.wait, concurrent.cancel = wire.start, wire.wait, wire.cancel
