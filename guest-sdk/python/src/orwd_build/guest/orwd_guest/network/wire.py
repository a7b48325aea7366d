"""Makes requests by the host's interface."""

from typing import Any

from componentize_py_types import Err
from wit_world.imports import http

from orwd_guest.network.exchange import Headers, Refused

#: What does not change when a request is made again.
_FINAL = {
    http.ErrorCode.NOT_GRANTED: "not-granted",
    http.ErrorCode.REFUSED: "refused",
    http.ErrorCode.LIMIT: "limit",
    http.ErrorCode.IN_DOUBT: "in-doubt",
}


def send(method: str, url: str, headers: Headers, body: bytes) -> tuple[int, Headers, bytes]:
    """Makes a request, and waits for the whole response."""
    request = http.Request(method, url, [http.Header(name, value) for name, value in headers], body)
    try:
        response = http.send(request)
    except Err as raised:
        error: Any = raised.value
        if error.code in _FINAL:
            raise Refused(_FINAL[error.code], error.message) from None
        if error.code == http.ErrorCode.TIMEOUT:
            raise TimeoutError(error.message) from None
        raise ConnectionError(error.message) from None
    return response.status, [(header.name, header.value) for header in response.headers], response.body
