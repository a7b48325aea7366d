"""Turns exceptions of the author's code into errors of the interface.

An exception that leaves an export ends the instance, so none does. The
traceback goes to the log.
"""

import functools
import sys
import traceback
from typing import Any, Callable

from componentize_py_types import Err


def log(error: BaseException) -> None:
    """Writes a traceback to the log, without the frames of this package."""
    sys.stdout.flush()
    try:
        lines = traceback.format_exception(error)
    except Exception as problem:
        lines = [f"{type(error).__name__} (its traceback cannot be written: {type(problem).__name__})\n"]
    sys.stderr.write("".join(lines))
    sys.stderr.flush()


def message(error: BaseException, with_type: bool) -> str:
    """Returns the message of an exception, as the reference server sends it. The
    host puts `RuntimeError: ` before a message with a type."""
    try:
        said = str(error)
    except Exception:
        said = "(the exception has no message)"
    if with_type and type(error) is not RuntimeError:
        said = f"{type(error).__name__}: {said}"
    return said.encode("utf-8", "backslashreplace").decode()


def guarded(wrap: Callable[[str], Any], with_type: bool = True) -> Callable[..., Any]:
    """Makes an export raise the error that `wrap` returns for a message, and
    nothing else."""

    def decorate(export: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(export)
        def call(*args: Any) -> Any:
            try:
                return export(*args)
            except Err:
                raise
            except BaseException as error:
                log(error)
                failure = Err(wrap(message(error, with_type)))
            finally:
                sys.stdout.flush()
            # Outside of the handler, so that the exception and its frames are freed.
            raise failure

        return call

    return decorate
