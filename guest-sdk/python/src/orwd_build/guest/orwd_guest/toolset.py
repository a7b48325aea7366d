"""Base class of toolsets."""

from abc import ABC
from typing import Any


class Toolset(ABC):
    """Tools that several environments share. It needs the environment's sandbox."""

    def __init__(self, env: Any, sandbox_attr: str = "sandbox") -> None:
        self.env = env
        if getattr(env, sandbox_attr, None) is None:
            raise ValueError(
                f"Toolset {type(self).__name__} requires `env.{sandbox_attr}` to be set "
                f"(typically assigned in the environment's __init__ or setup()) but the "
                f"environment does not define one or it is None."
            )
        self.sandbox = getattr(env, sandbox_attr)

    @classmethod
    def name(cls) -> str:
        """The name of the toolset."""
        return cls.__name__


class PlainToolset(ABC):
    """The base class of `ors`, which needs nothing."""

    def __init__(self, env: Any) -> None:
        self.env = env
