"""The bytes of an HTTP/1.1 request, and those of its response."""

import json
from http import HTTPStatus
from typing import Callable, NamedTuple, NoReturn, Optional

Headers = list[tuple[str, str]]

#: Status, headers and body.
Response = tuple[int, Headers, bytes]

#: Makes a request with a method, a URL, headers and a body. Returns the response, or
#: raises.
Send = Callable[[str, str, Headers, bytes], Response]


class Request(NamedTuple):
    """What the host is to send."""

    method: str
    url: str
    headers: Headers
    body: bytes


class Refused(Exception):
    """The host does not make a request, and would not when asked again."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def _nothing(method: str, url: str, headers: Headers, body: bytes) -> Response:
    raise OSError("no requests can be made while the component is built")


def no_network(method: str, url: str, headers: Headers, body: bytes) -> NoReturn:
    """Refuses a request of an environment that asks for no network."""
    raise OSError(
        f"{url.split('?')[0]} cannot be reached: this environment has no network. Name the hosts that it "
        f"needs in [network] of its orwd.toml"
    )


send: Send = _nothing

#: Headers of a request that concern the connection, which the host makes. It keeps
#: no cookies.
OF_CONNECTION = {
    "host",
    "connection",
    "content-length",
    "transfer-encoding",
    "keep-alive",
    "te",
    "expect",
    "upgrade",
    "cookie",
}

#: Bytes that a request may have, which the host checks more closely.
LIMIT = 2 << 20


class Exchange:
    """One connection to a server: takes a request, and gives its response."""

    def __init__(self, host: str, port: int) -> None:
        self.host = host
        self.port = port
        self.tls = False
        self._written = bytearray()

    def feed(self, data: bytes) -> Optional[bytes]:
        """Takes what a client writes. Returns the response once the request is
        whole."""
        request = self.take(data)
        if request is None:
            return None
        try:
            response = send(*request)
        except Refused as refused:
            response = refusal(refused)
        return written(request.method, response)

    def take(self, data: bytes) -> Optional[Request]:
        """Takes what a client writes. Returns the request once it is whole."""
        self._written += data
        if len(self._written) > LIMIT:
            raise OSError(f"the request has more than {LIMIT} bytes")
        head, end, rest = bytes(self._written).partition(b"\r\n\r\n")
        if not end:
            return None
        lines = head.decode("latin-1").split("\r\n")
        parts = lines[0].split(" ")
        if len(parts) != 3 or not parts[2].startswith("HTTP/1."):
            raise OSError("an environment on orwd sends HTTP/1.1 requests only, and this is none")
        headers: Headers = []
        for line in lines[1:]:
            name, _, value = line.partition(":")
            headers.append((name.strip(), value.strip()))
        body = _body(headers, rest)
        if body is None:
            return None
        self._written.clear()
        scheme, usual = ("https", 443) if self.tls else ("http", 80)
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port == usual else f":{self.port}"
        url = f"{scheme}://{host}{port}{parts[1]}"
        sent = [(name, value) for name, value in headers if name.lower() not in OF_CONNECTION]
        return Request(parts[0], url, sent, body)


def refusal(refused: Refused) -> Response:
    """Returns the response of a proxy that permits no such request. Clients do not
    repeat it."""
    status = 409 if refused.code == "in-doubt" else 403
    error = {"message": str(refused), "type": "orwd", "code": refused.code}
    headers = [("content-type", "application/json"), ("x-should-retry", "false")]
    return status, headers, json.dumps({"error": error}).encode()


def _body(headers: Headers, rest: bytes) -> Optional[bytes]:
    """Returns the body if it is whole."""
    fields = {name.lower(): value for name, value in headers}
    if "chunked" in fields.get("transfer-encoding", "").lower():
        return _chunks(rest)
    length = int(fields.get("content-length", "0"))
    return rest[:length] if len(rest) >= length else None


def _chunks(rest: bytes) -> Optional[bytes]:
    body = bytearray()
    while True:
        line, end, rest = rest.partition(b"\r\n")
        if not end:
            return None
        size = int(line.split(b";")[0], 16)
        if len(rest) < size + 2:
            return None
        body += rest[:size]
        rest = rest[size + 2 :]
        if size == 0:
            return bytes(body)


def written(method: str, response: Response) -> bytes:
    """Returns a response as a server writes it."""
    status, headers, body = response
    try:
        reason = HTTPStatus(status).phrase
    except ValueError:
        reason = ""
    lines = [f"HTTP/1.1 {status} {reason}"]
    length = str(len(body))
    for name, value in headers:
        if name.lower() == "content-length" and method == "HEAD":
            length = value
        if name.lower() not in {"connection", "keep-alive", "transfer-encoding", "content-length"}:
            lines.append(f"{name}: {value}")
    lines += [f"Content-Length: {length}", "Connection: close"]
    return "\r\n".join(lines).encode("latin-1", "replace") + b"\r\n\r\n" + body
