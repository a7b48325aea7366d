"""Stand-in for `ors.toolset`."""

from orwd_guest.toolset import PlainToolset as Toolset

__all__ = ["Toolset"]
