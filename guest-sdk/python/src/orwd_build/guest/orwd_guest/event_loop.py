"""An event loop for a guest without threads and sockets.

Timers wait on the host's clock, and requests for their results. What would run in a
thread runs at once.
"""

import contextlib
import time
from asyncio import base_events, events, tasks
from typing import Any, Callable, Iterator, Optional

from orwd_guest.network import concurrent

_loop: Optional["EventLoop"] = None


#: Iterations of a loop that is never idle, after which it waits for a request. A
#: task may do nothing else until that has its result.
_BUSY = 100


class _Selector:
    """Waits for a request if there is one, and else for the next timer."""

    def __init__(self, loop: "EventLoop") -> None:
        self._loop = loop
        self._busy = 0

    def select(self, timeout: Optional[float]) -> list[Any]:
        if concurrent.awaited_by(self._loop):
            self._busy += 1
            if timeout != 0 or self._busy > _BUSY:
                self._busy = 0
                concurrent.proceed()
            return []
        if timeout is None:
            raise RuntimeError(
                "deadlock: every task waits for another, and no timer is set; "
                "there are no threads or sockets in an environment that could end the wait"
            )
        if timeout > 0:
            time.sleep(timeout)
        return []

    def close(self) -> None:
        """Nothing to close."""


# Since Python 3.12; before, tasks of several loops do not exclude each other.
_swap_current_task: Any = getattr(tasks, "_swap_current_task", lambda loop, task: None)


@contextlib.contextmanager
def _outside() -> Iterator[None]:
    """Runs code as in a thread of its own: there is no running loop and no current
    task, so it may start another loop."""
    running = events._get_running_loop()
    if running is None:
        yield
        return
    task = _swap_current_task(running, None)
    events._set_running_loop(None)
    try:
        yield
    finally:
        events._set_running_loop(running)
        _swap_current_task(running, task)


class EventLoop(base_events.BaseEventLoop):
    """The event loop of an instance."""

    def __init__(self) -> None:
        super().__init__()
        self._selector = _Selector(self)

    def _process_events(self, event_list: list[Any]) -> None:
        """No events but timers arrive."""

    def _write_to_self(self) -> None:
        """Nobody else could wake the loop."""

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> Any:
        """Runs the function at once, outside of the loop, as a thread would."""
        future = self.create_future()
        try:
            with _outside():
                result = func(*args)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            # A future cannot hold this one; it would end a coroutine.
            if isinstance(error, StopIteration):
                error = RuntimeError(f"the function raised {error!r}")
            future.set_exception(error)
        else:
            future.set_result(result)
        return future

    async def shutdown_default_executor(self, timeout: Optional[float] = None) -> None:
        """There is no executor."""

    def add_signal_handler(self, sig: int, callback: Callable[..., Any], *args: Any) -> None:
        """No signal ever arrives."""

    def remove_signal_handler(self, sig: int) -> bool:
        """No handler is installed."""
        return False


# Renamed in Python 3.14; the tests of this package also run on 3.13.
_AbstractPolicy: Any = getattr(events, "_AbstractEventLoopPolicy", None) or getattr(events, "AbstractEventLoopPolicy")


class _Policy(_AbstractPolicy):
    """Makes `asyncio.run` and `asyncio.new_event_loop` use this loop."""

    def get_event_loop(self) -> "EventLoop":
        return current()

    def set_event_loop(self, loop: Optional[events.AbstractEventLoop]) -> None:
        """The loop of the instance stays."""

    def new_event_loop(self) -> "EventLoop":
        return EventLoop()


def install() -> None:
    """Makes this the event loop of asyncio."""
    set_policy: Any = getattr(events, "_set_event_loop_policy", None) or getattr(events, "set_event_loop_policy")
    set_policy(_Policy())
    import concurrent.futures
    import concurrent.futures.thread

    concurrent.futures.ThreadPoolExecutor = InlineExecutor  # type: ignore[misc,assignment]
    concurrent.futures.thread.ThreadPoolExecutor = InlineExecutor  # type: ignore[misc,assignment]


class InlineExecutor:
    """A thread pool whose work is done when it is submitted."""

    def __init__(self, max_workers: Any = None, *args: Any, **kwargs: Any) -> None:
        initializer = kwargs.get("initializer")
        if initializer is not None:
            initializer(*kwargs.get("initargs", ()))

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """Runs the function, and returns a future that is done."""
        from concurrent.futures import Future

        future: Any = Future()
        try:
            with _outside():
                future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future

    def map(
        self, fn: Callable[..., Any], *iterables: Any, timeout: Any = None, chunksize: int = 1, **kwargs: Any
    ) -> Any:
        """Runs the function for each element."""
        futures = [self.submit(fn, *args) for args in zip(*iterables)]
        return (future.result() for future in futures)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """All work is done."""

    def __enter__(self) -> "InlineExecutor":
        return self

    def __exit__(self, *exception: Any) -> bool:
        return False


def current() -> EventLoop:
    """Returns the loop of this instance."""
    global _loop
    if _loop is None or _loop.is_closed():
        _loop = EventLoop()
    return _loop


def forget() -> None:
    """Drops the loop that ran while the component was built."""
    global _loop
    if _loop is not None:
        _loop.close()
        _loop = None
