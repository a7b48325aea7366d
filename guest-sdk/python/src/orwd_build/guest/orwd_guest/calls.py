"""Calls the functions of an environment, synchronous or not.

A synchronous function runs outside of the event loop, as it runs in a thread
of its own under the reference server: it may call `asyncio.run`.
"""

import asyncio
import inspect
from typing import Any, Callable

from orwd_guest import event_loop


def run(fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Calls a function, and awaits what it returns if that can be awaited."""
    result = fn(*args, **kwargs)
    if inspect.isawaitable(result):
        return event_loop.current().run_until_complete(_finish(result))
    return result


async def _finish(awaitable: Any) -> Any:
    return await awaitable


async def run_user_callable(fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """The same inside the event loop, for functions that await each other."""
    if inspect.iscoroutinefunction(fn):
        return await fn(*args, **kwargs)
    result = await asyncio.to_thread(fn, *args, **kwargs)
    if inspect.isawaitable(result):
        return await result
    return result
