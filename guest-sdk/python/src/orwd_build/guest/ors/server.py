"""Stand-in for `ors.server`."""

from orwd_guest.server import Server

__all__ = ["Server"]
