"""Makes requests by the host's interface."""

from typing import Any, Optional, Union

from componentize_py_types import Err
from wit_world.imports import http

from orwd_guest.network.exchange import Headers, Refused, Request, Response

#: What does not change when a request is made again.
_FINAL = {
    http.ErrorCode.NOT_GRANTED: "not-granted",
    http.ErrorCode.REFUSED: "refused",
    http.ErrorCode.LIMIT: "limit",
    http.ErrorCode.IN_DOUBT: "in-doubt",
}


def send(method: str, url: str, headers: Headers, body: bytes) -> Response:
    """Makes a request, and waits for the whole response."""
    try:
        return _response(http.send(_request(method, url, headers, body)))
    except Err as raised:
        raise _error(raised.value) from None


def start(request: Request) -> int:
    """Starts a request, and returns its number."""
    try:
        return http.start(_request(*request))
    except Err as raised:
        raise _error(raised.value) from None


def wait() -> Optional[tuple[int, Union[Response, Exception]]]:
    """Waits for the next result of those that were started."""
    finished = http.wait()
    if finished is None:
        return None
    result: Any = finished.result
    if isinstance(result, Err):
        return finished.number, _error(result.value)
    return finished.number, _response(result.value)


def cancel(number: int) -> None:
    """Ends a request that was started."""
    http.cancel(number)


def _request(method: str, url: str, headers: Headers, body: bytes) -> Any:
    return http.Request(method, url, [http.Header(name, value) for name, value in headers], body)


def _response(response: Any) -> Response:
    return response.status, [(header.name, header.value) for header in response.headers], response.body


def _error(error: Any) -> Exception:
    if error.code in _FINAL:
        return Refused(_FINAL[error.code], error.message)
    if error.code == http.ErrorCode.TIMEOUT:
        return TimeoutError(error.message)
    return ConnectionError(error.message)
