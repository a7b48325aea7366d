"""Episodes with the asynchronous `openreward` client."""

import base64
import json
import unittest

import loopback
from openreward import AsyncOpenReward
from openreward.api.environments.types import ImageBlock, Message, Task, TextBlock
from openreward.api.errors import (
    ScoreGroupFailed,
    ScoreGroupUnsupported,
    SessionTerminatedError,
    ToolCallError,
    ToolFailed,
)


def task_of(environment, **spec):
    return Task(server_name="local", environment_name=environment, task_spec=spec, namespace=None)


def said(*texts):
    return [Message(role="assistant", blocks=[TextBlock(text=text) for text in texts])]


class AsyncTest(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self):
        self.client = AsyncOpenReward()

    async def asyncTearDown(self):
        await self.client.environments.aclose()

    def environment(self, variant=None):
        return self.client.environments.get("team/alpha", variant=variant)

    async def text(self, session, tool, **given):
        output = await session.call_tool(tool, given)
        return output.blocks[0].text

    async def refusal(self, session, tool, **given):
        with self.assertRaises(ToolCallError) as caught:
            await session.call_tool(tool, given)
        return caught.exception.reason


class Discovery(AsyncTest):
    async def test_an_environment_is_found_without_a_variant(self):
        environment = self.environment()
        self.assertEqual(await environment.list_splits(), ["train", "test", "holdout", "hard"])
        self.assertEqual(await environment.num_tasks("train"), 5)
        task = await environment.get_task("train", -1)
        self.assertEqual((task.environment_name, task.task_spec["id"]), ("alpha", "train-4"))

    async def test_tasks_are_listed_and_sliced(self):
        environment = self.environment("alpha")
        names = [task.task_spec["id"] for task in await environment.list_tasks("train")]
        self.assertEqual(names, [f"train-{i}" for i in range(5)])
        last = await environment.get_task_range("train", -2)
        self.assertEqual([task.task_spec["n"] for task in last], [3, 4])
        self.assertEqual(await environment.list_tasks("holdout"), [])

    async def test_an_environment_without_a_task_list_is_read_by_index(self):
        environment = self.environment("indexed")
        self.assertEqual(await environment.num_tasks("train"), 4)
        self.assertEqual((await environment.get_task("train", 3)).task_spec["square"], 9)

    async def test_tools_are_listed_for_every_provider(self):
        environment = self.environment("alpha")
        tools = {tool.name: tool for tool in await environment.list_tools()}
        self.assertEqual(tools["echo"].description, "Return the given text.")
        self.assertIsNone(tools["noargs"].input_schema)
        self.assertNotIn("hidden", tools)
        for provider in ("openai", "anthropic", "google", "openrouter"):
            listed = await environment.list_tools(format=provider)
            self.assertEqual(len(listed), len(tools), provider)

    async def test_other_members_of_a_tool_listing(self):
        terminal = await self.environment("termarg").terminal_tool()
        self.assertEqual((terminal.name, terminal.arg), ("submit", "answer"))
        self.assertIsNone(await self.environment("alpha").terminal_tool())
        self.assertTrue(await self.environment("chat").supports_score_group())

    @unittest.skipIf(loopback.IS_REFERENCE, "a route of the platform")
    async def test_required_secrets_are_listed(self):
        environment = self.client.environments.get("team/alpha")
        self.assertEqual(await environment.list_required_secrets(), ["K", "L", "api_key"])


class Episode(AsyncTest):
    async def test_a_whole_episode(self):
        environment = self.environment("alpha")
        task = await environment.get_task("train", 4)
        async with environment.session(task) as session:
            prompt = await session.get_prompt()
            self.assertEqual(prompt[0].text, "task train-4")
            self.assertEqual(prompt[1].detail, {"k": 1})
            [message] = await session.get_messages()
            self.assertEqual((message.role, len(message.blocks)), ("user", 2))
            self.assertTrue((await session.version())["version"])
            self.assertIn("echo", [tool.name for tool in await session.list_tools()])

            bumped = await session.call_tool("bump", {"by": 3})
            self.assertEqual((bumped.blocks[0].text, bumped.metadata), ("3", {"counter": 3}))
            self.assertIsNone(bumped.reward)
            self.assertFalse(bumped.finished)
            self.assertEqual(await self.text(session, "bump"), "4")

            end = await session.call_tool("finish", {"reward": 0.5})
            self.assertEqual((end.reward, end.finished), (0.5, True))
            self.assertEqual(await self.refusal(session, "noargs"), "episode_finished")

    async def test_an_episode_by_split_and_index(self):
        environment = self.environment("alpha")
        async with environment.session(split="test", index=1) as session:
            spec = json.loads(await self.text(session, "spec"))
            self.assertEqual(spec["note"], "h\u00e9llo \u2028 \U0001f600")

    async def test_an_image_arrives(self):
        async with self.environment("alpha").session(split="train", index=0) as session:
            image, caption = (await session.call_tool("image", {})).blocks
            self.assertIsInstance(image, ImageBlock)
            self.assertEqual(image.mimeType, "image/png")
            self.assertTrue(base64.b64decode(image.data).startswith(b"\x89PNG"))
            self.assertEqual(caption.detail, {"lang": "en", "n": 1})

    async def test_a_large_result_arrives(self):
        async with self.environment("alpha").session(split="train", index=0) as session:
            for unit, count in (("0123456789abcdef", 65536), ("h\u00e9\n\U0001f600.", 5000)):
                text = await self.text(session, "big", unit=unit, count=count)
                self.assertTrue(text == unit * count, f"{len(text)} characters of {unit!r}")

    @unittest.skipIf(loopback.IS_REFERENCE, "it loses this text")
    async def test_white_space_survives_the_split(self):
        async with self.environment("alpha").session(split="train", index=0) as session:
            for unit in (" ", "word  ", "\u00a0x", "\u2003y ", "a\u2028", "\u3000", "\u0085z"):
                text = await self.text(session, "big", unit=unit, count=9001)
                self.assertTrue(text == unit * 9001, f"{len(text)} characters of {unit!r}")

    async def test_secrets_reach_their_session(self):
        environment = self.environment("alpha")
        secrets = {"K": ("v", ["example.test"]), "L": ("w", ["example.test"])}
        async with environment.session(split="train", index=0, secrets=secrets) as session:
            self.assertEqual(await self.text(session, "secret", name="K"), "v")
            self.assertEqual(await self.text(session, "secret", name="L"), "w")
            self.assertEqual(await self.text(session, "secret", name="api_key"), loopback.KEY)
            self.assertEqual(await self.text(session, "secret", name="M"), "<absent>")

    async def test_messages_of_the_environment(self):
        async with self.environment("chat").session(task_of("chat", mode="rich")) as session:
            roles = [message.role for message in await session.get_messages()]
            self.assertEqual(roles, ["system", "user", "assistant", "user"])
            headings = [block.text for block in await session.get_prompt() if block.text[0] == "["]
            self.assertEqual(headings[0], "[system]")

    async def test_tools_of_one_task(self):
        async with self.environment("kit").session(task_of("kit", extra=True)) as session:
            names = [tool.name for tool in await session.list_tools()]
            self.assertEqual(names, ["look", "dup", "shout", "special"])
            self.assertEqual(await self.text(session, "special", text="q"), "special:q")
            self.assertEqual(await self.refusal(session, "dup"), "name_collision")


class Errors(AsyncTest):
    async def test_a_refusal_does_not_end_the_session(self):
        async with self.environment("alpha").session(split="train", index=0) as session:
            self.assertEqual(await self.refusal(session, "nosuch"), "not_found")
            self.assertEqual(await self.refusal(session, "echo"), "input_validation")
            self.assertEqual(await self.refusal(session, "echo", text=5), "input_validation")
            self.assertEqual(await self.text(session, "echo", text="alive"), "alive")

    async def test_a_tool_that_fails_ends_the_rollout(self):
        async with self.environment("alpha").session(split="train", index=0) as session:
            with self.assertRaisesRegex(ToolFailed, "boom: \u00e9"):
                await session.call_tool("fail", {"message": "boom: \u00e9"})
            with self.assertRaises(SessionTerminatedError):
                await session.call_tool("noargs", {})

    async def test_a_session_that_cannot_be_created(self):
        with self.assertRaises(Exception) as caught:
            async with self.environment("broken").session(split="train", index=1):
                self.fail("it began")
        self.assertIn("init exploded", str(caught.exception))

    async def test_a_setup_that_fails(self):
        async with self.environment("broken").session(split="train", index=0) as session:
            with self.assertRaises(Exception) as caught:
                await session.get_prompt()
            self.assertIn("setup exploded", str(caught.exception))

    async def test_an_unknown_task(self):
        for split, index, text in (("nope", 0, "Invalid split"), ("train", 99, "Invalid index")):
            with self.assertRaises(Exception) as caught:
                await self.environment("alpha").get_task(split, index)
            self.assertIn(text, str(caught.exception))


class Grading(AsyncTest):
    async def test_a_terminal_tool_grades_the_final_message(self):
        environment = self.environment("termarg")
        for answer, reward in ((" 4 ", 1.0), ("5", 0.0)):
            async with environment.session(split="train", index=0) as session:
                self.assertTrue(await session.is_assistant_message_final())
                graded = await session.call_terminal_tool(answer)
                self.assertEqual((graded.reward, graded.finished), (reward, True))

    async def test_a_terminal_tool_may_need_no_message(self):
        async with self.environment("termnone").session(split="train", index=0) as session:
            self.assertEqual((await session.call_terminal_tool("bye")).reward, 0.5)

    async def test_candidates_are_scored(self):
        async with self.environment("chat").session(task_of("chat")) as session:
            self.assertTrue(await session.supports_score_group())
            scores = await session.score_group([said("abc"), said("d", "ef"), said("")])
            self.assertEqual([score.reward for score in scores], [3.0, 3.0, 0.0])

    async def test_failed_scoring_does_not_end_the_session(self):
        async with self.environment("chat").session(task_of("chat", score="fail")) as session:
            with self.assertRaisesRegex(ScoreGroupFailed, "judge unavailable"):
                await session.score_group([said("abc")])
            self.assertEqual(await self.text(session, "look"), "looked")

    async def test_scoring_may_be_missing(self):
        async with self.environment("alpha").session(split="train", index=0) as session:
            self.assertFalse(await session.supports_score_group())
            with self.assertRaises(ScoreGroupUnsupported):
                await session.score_group([said("abc")])


class Waiting(AsyncTest):
    async def test_the_first_request_waits_for_a_slow_setup(self):
        async with self.environment("slow").session(split="train", index=0) as session:
            self.assertEqual(await self.text(session, "probe"), "ready=true")
