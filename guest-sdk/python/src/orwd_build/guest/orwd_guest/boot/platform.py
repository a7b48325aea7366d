"""What the interpreter lacks in a component: modules that exist elsewhere, and
operations that say what they are.
"""

import functools
import os
import signal
import subprocess
import sys
import threading
from types import ModuleType
from typing import Any

from orwd_guest.boot import c_types


class _Missing(ModuleType):
    """A module that imports, and whose functions cannot be used."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        module = self.__name__

        def refuse(cls: Any, *args: Any, **kwargs: Any) -> Any:
            raise OSError(f"{module}.{name} does not exist in an environment on orwd (WebAssembly)")

        value = type(name, (), {"__new__": refuse})
        setattr(self, name, value)
        return value


def install() -> None:
    """Completes the interpreter."""
    try:
        __import__("ctypes")
    except ImportError:
        c_types.install()
    for name in ("mmap", "fcntl", "resource", "_pyrepl", "_pyrepl.utils"):
        try:
            __import__(name)
        except ImportError:
            sys.modules[name] = _Missing(name)
    _user()
    _signals()
    _refuse_threads_and_processes()
    sys.setrecursionlimit(1000)


def _user() -> None:
    """Makes the environment run as the owner of its files, whom WASI does not know."""
    module: Any = os
    for name in ("getuid", "geteuid", "getgid", "getegid"):
        if not hasattr(module, name):
            setattr(module, name, lambda: 0)
    for name, value in {"getppid": 1, "getpgrp": 1, "umask": 0o022, "getgroups": [0]}.items():
        if not hasattr(module, name):
            setattr(module, name, lambda *mask, value=value: value)


def _signals() -> None:
    module: Any = signal
    # No signal arrives: a limit set by `alarm` never strikes, and the host's limit
    # on CPU time does.
    for name, value in {
        "SIGALRM": 14,
        "SIGUSR1": 10,
        "SIGUSR2": 12,
        "ITIMER_REAL": 0,
        "alarm": lambda seconds: 0,
        "setitimer": lambda which, seconds, interval=0.0: (0.0, 0.0),
        "getitimer": lambda which: (0.0, 0.0),
    }.items():
        if not hasattr(module, name):
            setattr(module, name, value)
    original = signal.signal

    def handle(number: Any, handler: Any) -> Any:
        try:
            return original(number, handler)
        except (OSError, ValueError):
            return signal.SIG_DFL

    module.signal = handle


def _refuse_threads_and_processes() -> None:
    def start(self: Any) -> None:
        raise RuntimeError(
            "threads cannot be started in an environment on orwd; use asyncio, "
            "`asyncio.to_thread` (which runs at once), or call the function"
        )

    threading.Thread.start = start  # type: ignore[method-assign]

    def popen(self: Any, *args: Any, **kwargs: Any) -> None:
        raise OSError(
            "processes cannot be started in an environment on orwd: it has no shell, no compiler "
            "and no second interpreter"
        )

    for name in ("system", "pipe"):
        if not hasattr(os, name):
            setattr(os, name, functools.partial(popen, None))
    subprocess.Popen.__init__ = popen  # type: ignore[method-assign]
    subprocess.Popen.__del__ = lambda self: None  # type: ignore[attr-defined,method-assign]
