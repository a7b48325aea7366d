"""Stand-in for `openreward.environments.types`."""

from orwd_guest.types import *  # noqa: F403
from orwd_guest.types import JSONObject, JSONValue, SplitType  # noqa: F401
