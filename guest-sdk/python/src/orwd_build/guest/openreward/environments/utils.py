"""Stand-in for `openreward.environments.utils`."""

from orwd_guest.calls import run_user_callable
from orwd_guest.conversation import flatten_messages

__all__ = ["flatten_messages", "run_user_callable"]
