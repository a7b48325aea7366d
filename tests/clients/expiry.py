"""What a client sees of an expired session. The server of this test ends a
session after three idle seconds; the client pings every ten seconds."""

import asyncio
import unittest

import loopback  # noqa: F401, first of all
from openreward import AsyncOpenReward


class Expiry(unittest.IsolatedAsyncioTestCase):
    async def test_an_idle_session_is_gone_and_a_busy_one_is_not(self):
        client = AsyncOpenReward()
        environment = client.environments.get("local", variant="alpha")

        async def busy():
            async with environment.session(split="train", index=0) as session:
                output = await session.call_tool("sleep", {"ms": 8_000})
                return output.blocks[0].text

        async def idle():
            async with environment.session(split="train", index=0) as session:
                await session.get_prompt()
                await asyncio.sleep(8)
                with self.assertRaises(Exception) as caught:
                    await session.call_tool("noargs", {})
                return caught.exception

        slept, error = await asyncio.gather(busy(), idle())
        self.assertIn('"end": 2', slept)
        # The status of the server's answer, or the client's own word for it.
        known = getattr(error, "status", None) in (404, 410)
        self.assertTrue(known or "terminated" in str(error), repr(error))

        async with environment.session(split="train", index=0) as session:
            self.assertEqual((await session.call_tool("noargs", {})).blocks[0].text, "noargs ok")
        await client.environments.aclose()
