"""Stand-in for `openreward.toolsets`: each of them needs a sandbox or a network."""

from typing import Any

from orwd_guest.host_only import placeholder
from orwd_guest.toolset import Toolset

__all__ = ["Toolset"]
BUILTIN_TOOLSETS: dict[str, Any] = {}


def __getattr__(name: str) -> Any:
    if name.endswith("Toolset"):
        return placeholder(name, "sandbox")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
