"""`componentize-py` looks for the classes of an exported interface in the module
of its name."""

from orwd_guest.wire.session import Session

__all__ = ["Session"]
