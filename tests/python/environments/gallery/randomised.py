import os
import random
import secrets
import time
import uuid

from openreward.environments import ToolOutput, tool

from common import OneSplit, text

OWN = random.Random()
FIXED = random.Random(5)


class Dice(OneSplit):
    """All that is random or of the clock."""

    @tool
    async def roll(self) -> ToolOutput:
        """Roll."""
        drawn = [random.random(), OWN.random(), FIXED.random(), random.SystemRandom().random()]
        drawn += [str(uuid.uuid4()), secrets.token_hex(8), os.urandom(4).hex(), random.Random().random()]
        return text(drawn)

    @tool
    async def clock(self) -> ToolOutput:
        """Read the clocks."""
        return text([time.time(), time.monotonic(), time.perf_counter()])

    @tool
    async def hashes(self) -> ToolOutput:
        """Iterate over a set of strings."""
        return text([list({"a", "b", "c", "d"}), hash("task-1")])
