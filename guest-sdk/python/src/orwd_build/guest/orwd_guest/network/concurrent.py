"""Requests of coroutines, which are on their way at once.

A loop that has nothing else to do starts them all, and waits for the first result.
"""

from collections import deque
from typing import Any, Callable, Optional, Union

from orwd_guest.network.exchange import Request, Response

#: What becomes of a request.
Outcome = Union[Response, Exception]

#: How many are started; others wait. The host takes twice as many.
MOST = 32


def _nothing(*request: Any) -> Any:
    raise OSError("no requests can be made while the component is built")


start: Callable[[Request], int] = _nothing
wait: Callable[[], Optional[tuple[int, Outcome]]] = _nothing
cancel: Callable[[int], None] = _nothing


class Pending:
    """A request whose result is awaited."""

    def __init__(self, loop: Any, request: Request, done: Callable[[Outcome], None]) -> None:
        self.loop = loop
        self.request = request
        self.done = done
        self.number: Optional[int] = None


_queued: deque[Pending] = deque()
_started: dict[int, Pending] = {}


def begin(loop: Any, request: Request, done: Callable[[Outcome], None]) -> Pending:
    """Makes a request, and calls a function of the loop with its outcome."""
    pending = Pending(loop, request, done)
    _queued.append(pending)
    return pending


def end(pending: Pending) -> None:
    """Ends a request whose result nobody awaits any more."""
    if pending.number is None:
        if pending in _queued:
            _queued.remove(pending)
    elif _started.pop(pending.number, None) is not None:
        cancel(pending.number)


def awaited_by(loop: Any) -> bool:
    """Returns whether a request of this loop has no result."""
    return any(pending.loop is loop for pending in (*_queued, *_started.values()))


def proceed() -> None:
    """Starts what waits, and waits for one result."""
    while _queued and len(_started) < MOST:
        pending = _queued.popleft()
        try:
            pending.number = start(pending.request)
        except Exception as error:
            pending.loop.call_soon(pending.done, error)
            return
        _started[pending.number] = pending
    finished = wait()
    if finished is None:
        raise RuntimeError("the host has no result of the requests that it was given")
    number, outcome = finished
    done = _started.pop(number, None)
    # Otherwise its loop is closed.
    if done is not None and not done.loop.is_closed():
        done.loop.call_soon(done.done, outcome)
