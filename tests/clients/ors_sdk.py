"""Episodes with the `ors-sdk` client, asynchronous and synchronous.

It always names the environment in the path, does not know the reasons of
refusals, and wraps them again when it adds the session id.
"""

import unittest

import loopback
from ors.client import ORS, AsyncORS


class Async(unittest.IsolatedAsyncioTestCase):
    async def test_an_episode(self):
        client = AsyncORS(base_url=loopback.SERVER)
        environment = client.environment("alpha")
        self.assertEqual(await environment.list_splits(), ["train", "test", "holdout", "hard"])
        self.assertEqual(await environment.num_tasks("train"), 5)
        self.assertEqual(len(await environment.list_tasks("train")), 5)
        self.assertEqual(len(await environment.get_task_range("train", 1, 3)), 2)
        self.assertIn("echo", [tool.name for tool in await environment.list_tools()])
        task = await environment.get_task("train", 1)
        async with environment.session(task=task, secrets={"K": "v"}) as session:
            self.assertEqual((await session.get_prompt())[0].text, "task train-1")
            self.assertIn("noargs", [tool.name for tool in await session.list_tools()])
            secret = await session.call_tool("secret", {"name": "K"})
            self.assertEqual(secret.blocks[0].text, "v")
            big = await session.call_tool("big", {"unit": "h\u00e9\n", "count": 5000})
            self.assertTrue(big.blocks[0].text == "h\u00e9\n" * 5000)
            image = (await session.call_tool("image", {})).blocks[0]
            self.assertEqual(image.mimeType, "image/png")
            with self.assertRaisesRegex(Exception, "'nosuch' is not a valid tool"):
                await session.call_tool("nosuch", {})
            end = await session.call_tool("finish", {"reward": 0.5})
            self.assertEqual((end.reward, end.finished), (0.5, True))

    @unittest.skipIf(loopback.IS_REFERENCE, "it loses this text")
    async def test_white_space_survives_the_split(self):
        client = AsyncORS(base_url=loopback.SERVER)
        environment = client.environment("alpha")
        task = await environment.get_task("train", 0)
        async with environment.session(task=task) as session:
            for unit in (" ", "word  ", "\u2003y "):
                big = await session.call_tool("big", {"unit": unit, "count": 9001})
                self.assertTrue(big.blocks[0].text == unit * 9001, unit)

    async def test_a_tool_that_fails(self):
        client = AsyncORS(base_url=loopback.SERVER)
        environment = client.environment("alpha")
        task = await environment.get_task("train", 0)
        async with environment.session(task=task) as session:
            with self.assertRaisesRegex(Exception, "boom"):
                await session.call_tool("fail", {"message": "boom"})


class Sync(unittest.TestCase):
    def test_an_episode(self):
        with ORS(base_url=loopback.SERVER) as client:
            environment = client.environment("alpha")
            with environment.session(split="train", index=2) as session:
                self.assertEqual(session.get_prompt()[0].text, "task train-2")
                echoed = session.call_tool("echo", {"text": "sync"})
                self.assertEqual(echoed.blocks[0].text, "sync")
                self.assertTrue(session.call_tool("finish", {"reward": 1}).finished)
