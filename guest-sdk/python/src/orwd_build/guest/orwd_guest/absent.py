"""Packages with native code that another package requires, and that have no wheel
for WASI.

They import, since many of them are never used. What a module does with them while
it is imported for the component has no effect; a use in a session raises.
"""

import sys
from types import ModuleType
from typing import Any

#: Whether the component is being built.
building = True


class Absent:
    """A part of an absent package."""

    def __init__(self, name: str) -> None:
        self.__dict__["_name"] = name

    def _refuse(self) -> None:
        package = self._name.split(".")[0]
        raise ImportError(
            f"{self._name} is not there: {package} has native code and no wheel for WASI, so an "
            f"environment on orwd cannot use it"
        )

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return Absent(f"{self._name}.{name}")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if not building:
            self._refuse()
        # A decorator leaves what it decorates.
        if len(args) == 1 and not kwargs and callable(args[0]) and not isinstance(args[0], Absent):
            return args[0]
        return Absent(f"{self._name}()")

    def __mro_entries__(self, bases: Any) -> tuple[type, ...]:
        return (_base(self._name),)

    def __or__(self, other: Any) -> Any:
        return self

    __ror__ = __and__ = __rand__ = __or__

    def __bool__(self) -> bool:
        if not building:
            self._refuse()
        return False

    def __iter__(self) -> Any:
        self._refuse()

    def __str__(self) -> str:
        if not building:
            self._refuse()
        return f"<{self._name}, absent>"

    __repr__ = __str__


def _base(name: str) -> type:
    def refuse(self: Any, *args: Any, **kwargs: Any) -> None:
        Absent(name)._refuse()

    return type(name.split(".")[-1], (), {"__init__": refuse})


class _Module(ModuleType):
    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        return Absent(f"{self.__name__}.{name}")


def install(name: str) -> None:
    """Makes a module that is being imported an absent one."""
    sys.modules[name].__class__ = _Module
