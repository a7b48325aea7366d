"""Stand-in for `openreward.environments.server`."""

from orwd_guest.server import Server

__all__ = ["Server"]
