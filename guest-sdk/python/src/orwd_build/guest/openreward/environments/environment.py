"""Stand-in for `openreward.environments.environment`."""

from orwd_guest.environment import Environment
from orwd_guest.tools import terminal, tool

__all__ = ["Environment", "terminal", "tool"]
