"""The `openreward` client with long waits: a setup longer than the server's setup
wait of 25 seconds, and a call longer than the client's read timeout of 30
seconds, which comments in the stream keep alive."""

import asyncio
import json
import unittest

import loopback  # noqa: F401, first of all
from openreward import AsyncOpenReward
from openreward.api.environments.types import Task


class Patience(unittest.IsolatedAsyncioTestCase):
    async def test_a_long_setup_beside_a_long_call(self):
        client = AsyncOpenReward()

        async def long_setup():
            spec = {"setup_ms": 28_000}
            task = Task(
                server_name="local", environment_name="slow", task_spec=spec, namespace=None
            )
            environment = client.environments.get("local", variant="slow")
            async with environment.session(task) as session:
                return (await session.get_prompt())[0].text

        async def long_call():
            environment = client.environments.get("local", variant="alpha")
            async with environment.session(split="train", index=0) as session:
                output = await session.call_tool("sleep", {"ms": 33_000, "tag": "long"})
                return json.loads(output.blocks[0].text)

        prompt, report = await asyncio.gather(long_setup(), long_call())
        await client.environments.aclose()
        self.assertEqual(prompt, "ready=true")
        self.assertEqual(report, {"tag": "long", "start": 1, "end": 2})
