"""Episodes whose server is killed during a call and restarted by the caller of
this script, once the long call is in the server's journal. What the client saw
is written to a file, to compare it with an undisturbed episode."""

import json
import os
import unittest

import loopback
from openreward import AsyncOpenReward
from ors.client import AsyncORS


async def play(session, seen):
    async def call(tool, arguments):
        output = await session.call_tool(tool, arguments)
        texts = [block.text for block in output.blocks]
        seen.append([tool, texts, output.metadata, output.reward, output.finished])

    seen.append([block.text for block in await session.get_prompt()])
    await call("bump", {"by": 2})
    await call("sleep", {"ms": 3000, "tag": "long"})
    await call("bump", {"by": 3})
    # An identical call, on purpose.
    await call("bump", {"by": 3})
    await call("reward", {"reward": 0.25})
    await call("finish", {"reward": 0.75})


class Killed(unittest.IsolatedAsyncioTestCase):
    def write(self, seen):
        with open(os.environ["ORS_SEEN"], "w") as file:
            json.dump(seen, file)

    async def test_openreward(self):
        client = AsyncOpenReward()
        environment = client.environments.get("local", variant="alpha")
        seen = []
        async with environment.session(split="train", index=1) as session:
            await play(session, seen)
        await client.environments.aclose()
        self.write(seen)

    async def test_ors_sdk(self):
        client = AsyncORS(base_url=loopback.SERVER)
        environment = client.environment("alpha")
        task = await environment.get_task("train", 1)
        seen = []
        async with environment.session(task=task) as session:
            await play(session, seen)
        self.write(seen)
