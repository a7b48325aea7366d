"""The module `socket`, as far as clients of HTTP use it."""

import asyncio
import io
import ipaddress
import socket
from typing import Any, Callable, Optional

from orwd_guest.network import concurrent, exchange
from orwd_guest.network.exchange import Exchange, Request

#: What TLS of this package writes when it begins.
TLS_BEGINS = b"\x16orwd\n"


class Socket:
    """A connection to a server, through the host."""

    def __init__(self, family: Any = None, type: Any = None, proto: int = 0, fileno: Any = None) -> None:
        self.family = socket.AF_INET
        self.type = socket.SOCK_STREAM
        self.proto = 0
        self._timeout: Optional[float] = None
        self._exchange: Optional[Exchange] = None
        self._received = bytearray()
        self._failed: Optional[OSError] = None
        self._closed = False

    def connect(self, address: Any) -> None:
        """Connects by name; the host finds the address."""
        self._exchange = Exchange(str(address[0]), int(address[1]))

    def connect_ex(self, address: Any) -> int:
        self.connect(address)
        return 0

    def start_tls(self) -> None:
        """What follows is sent by TLS."""
        if self._exchange is None:
            raise OSError("the socket is not connected")
        self._exchange.tls = True

    def sendall(self, data: Any, flags: int = 0) -> None:
        """Takes a part of a request. The last one sends it."""
        connection = self._open()
        if data == TLS_BEGINS:
            self.start_tls()
            return
        try:
            response = connection.feed(bytes(data))
        except OSError as error:
            # As on a network, who waits for the response learns of it.
            self._failed = error
            return
        if response is not None:
            self._received += response

    def _open(self) -> Exchange:
        if self._exchange is None or self._closed:
            raise OSError("the socket is not connected")
        return self._exchange

    def take(self, data: Any) -> Optional[Request]:
        """Takes a part of a request. Returns the request once it is whole."""
        if data == TLS_BEGINS:
            self.start_tls()
            return None
        return self._open().take(bytes(data))

    def send(self, data: Any, flags: int = 0) -> int:
        self.sendall(data)
        return len(data)

    def recv(self, size: int, flags: int = 0) -> bytes:
        """Returns a part of the response; nothing at its end."""
        if self._failed is not None:
            raise self._failed
        data = bytes(self._received[:size])
        del self._received[:size]
        return data

    def recv_into(self, buffer: Any, nbytes: int = 0, flags: int = 0) -> int:
        data = self.recv(nbytes or len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def makefile(self, mode: str = "r", buffering: Any = None, **options: Any) -> Any:
        """Returns a file of the response, or one that takes the request."""
        raw: Any = io.BufferedReader(_Raw(self)) if "w" not in mode else io.BufferedWriter(_Raw(self))
        return raw if "b" in mode else io.TextIOWrapper(raw, **options)

    def settimeout(self, value: Optional[float]) -> None:
        self._timeout = value

    def gettimeout(self) -> Optional[float]:
        return self._timeout

    def setblocking(self, flag: bool) -> None:
        self._timeout = None if flag else 0.0

    def getblocking(self) -> bool:
        return self._timeout != 0.0

    def setsockopt(self, *option: Any) -> None:
        """There is nothing to set."""

    def getsockopt(self, *option: Any) -> int:
        return 0

    def getpeername(self) -> tuple[str, int]:
        if self._exchange is None:
            raise OSError("the socket is not connected")
        return (self._exchange.host, self._exchange.port)

    def getsockname(self) -> tuple[str, int]:
        return ("0.0.0.0", 0)

    def fileno(self) -> int:
        return -1

    def shutdown(self, how: int) -> None:
        """The host has closed the connection already."""

    def close(self) -> None:
        self._closed = True

    def detach(self) -> int:
        self._closed = True
        return -1

    def bind(self, address: Any) -> None:
        raise OSError("an environment on orwd makes HTTP requests, and has no other sockets")

    def listen(self, *backlog: Any) -> None:
        self.bind(None)

    def sendto(self, *message: Any) -> None:
        self.bind(None)

    def __enter__(self) -> "Socket":
        return self

    def __exit__(self, *exception: Any) -> None:
        self.close()


class _Raw(io.RawIOBase):
    def __init__(self, of: Socket) -> None:
        super().__init__()
        self._socket = of

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._socket.recv_into(buffer)

    def write(self, data: Any) -> int:
        return self._socket.send(data)


def _create_connection(address: Any, timeout: Any = None, source_address: Any = None, **options: Any) -> Socket:
    made = Socket()
    made.connect(address)
    return made


def _getaddrinfo(host: Any, port: Any, *hints: Any, **named: Any) -> list[Any]:
    if isinstance(host, bytes):
        host = host.decode("ascii")
    family = socket.AF_INET
    try:
        if ipaddress.ip_address(host).version == 6:
            family = socket.AF_INET6
    except ValueError:
        pass
    # The name stands for its addresses, which the host checks.
    return [(family, socket.SOCK_STREAM, 6, "", (host, int(port or 0)))]


class _Transport(asyncio.Transport):
    """A connection of an event loop."""

    def __init__(self, loop: Any, connection: Socket, protocol: Any) -> None:
        super().__init__({"socket": connection, "peername": connection.getpeername()})
        self._loop = loop
        self._socket = connection
        self._protocol = protocol
        self._closing = False
        self._pending: Optional[concurrent.Pending] = None

    def write(self, data: Any) -> None:
        try:
            request = self._socket.take(data)
        except OSError as error:
            self._end(error)
            return
        if request is not None:
            self._pending = concurrent.begin(self._loop, request, self._receive)

    def _receive(self, outcome: concurrent.Outcome) -> None:
        pending, self._pending = self._pending, None
        if pending is None or self._closing:
            return
        if isinstance(outcome, exchange.Refused):
            outcome = exchange.refusal(outcome)
        if isinstance(outcome, Exception):
            self._end(outcome)
            return
        self._protocol.data_received(exchange.written(pending.request.method, outcome))
        self._loop.call_soon(self._finish)

    def _finish(self) -> None:
        if not self._closing:
            self._protocol.eof_received()
            self._end(None)

    def _end(self, error: Optional[Exception]) -> None:
        if not self._closing:
            self._closing = True
            if self._pending is not None:
                concurrent.end(self._pending)
            self._loop.call_soon(self._protocol.connection_lost, error)

    def close(self) -> None:
        self._end(None)

    def abort(self) -> None:
        self._end(None)

    def is_closing(self) -> bool:
        return self._closing

    def get_protocol(self) -> Any:
        return self._protocol

    def set_protocol(self, protocol: Any) -> None:
        self._protocol = protocol

    def is_reading(self) -> bool:
        return True

    def pause_reading(self) -> None:
        """All has been read."""

    def resume_reading(self) -> None:
        """All has been read."""

    def set_write_buffer_limits(self, high: Any = None, low: Any = None) -> None:
        """Nothing is buffered."""

    def get_write_buffer_size(self) -> int:
        return 0

    def can_write_eof(self) -> bool:
        return False


async def _connect(
    loop: Any,
    protocol_factory: Callable[[], Any],
    host: Any = None,
    port: Any = None,
    *,
    ssl: Any = None,
    sock: Any = None,
    **options: Any,
) -> tuple[Any, Any]:
    connection = sock or _create_connection((host, port))
    if ssl:
        connection.start_tls()
    protocol = protocol_factory()
    transport = _Transport(loop, connection, protocol)
    protocol.connection_made(transport)
    return transport, protocol


async def _sock_connect(loop: Any, sock: Any, address: Any) -> None:
    sock.connect(address)


def install() -> None:
    """Makes these the sockets of the interpreter."""
    module: Any = socket
    module.socket = module.SocketType = Socket
    module.create_connection = _create_connection
    module.getaddrinfo = _getaddrinfo
    module.has_ipv6 = False
    for name, value in {
        "SOL_SOCKET": 1,
        "SO_KEEPALIVE": 9,
        "SO_REUSEADDR": 2,
        "SO_ERROR": 4,
        "IPPROTO_TCP": 6,
        "IPPROTO_IPV6": 41,
        "TCP_NODELAY": 1,
        "SHUT_RD": 0,
        "SHUT_WR": 1,
        "SHUT_RDWR": 2,
        "AF_UNSPEC": 0,
        "AF_UNIX": 1,
        "AI_PASSIVE": 1,
    }.items():
        if not hasattr(module, name):
            setattr(module, name, value)
    base: Any = asyncio.base_events.BaseEventLoop
    base.create_connection = _connect
    base.sock_connect = _sock_connect
