"""Stand-in for `openreward.environments.toolset`."""

from orwd_guest.toolset import Toolset

__all__ = ["Toolset"]
