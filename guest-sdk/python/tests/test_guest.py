"""The core that environments stand on, without a component."""

import asyncio
import json
import subprocess
import sys
import unittest
from unittest import mock

from orwd_guest import calls, event_loop, server, tools
from orwd_guest.boot import author, seeding
from orwd_guest.host_only import NotInEnvironment


class Stop(unittest.TestCase):
    def setUp(self):
        policy = asyncio.get_event_loop_policy()
        self.addCleanup(asyncio.set_event_loop_policy, policy)
        event_loop.install()
        self.addCleanup(event_loop.forget)


class EventLoop(Stop):
    def test_timers_and_threads(self):
        async def main():
            slow, fast = asyncio.sleep(0.02, "slow"), asyncio.sleep(0.01, "fast")
            return [*await asyncio.gather(slow, fast), await asyncio.to_thread(str, 5)]

        self.assertEqual(calls.run(main), ["slow", "fast", "5"])

    def test_a_synchronous_function_may_start_a_loop(self):
        async def inner():
            await asyncio.sleep(0)
            return 1

        self.assertEqual(calls.run(lambda: asyncio.run(inner())), 1)

    def test_a_deadlock_is_an_error(self):
        async def main():
            await asyncio.Event().wait()

        with self.assertRaisesRegex(RuntimeError, "deadlock"):
            calls.run(main)


class StandIns(unittest.TestCase):
    def test_the_names_of_the_published_packages_are_there(self):
        import openreward
        import ors
        from openreward.environments import Environment
        from openreward.environments.types import JSONObject, SplitType  # noqa: F401

        self.assertIs(ors.Environment, Environment)
        for module in (openreward, openreward.environments, ors):
            for name in module.__all__:
                self.assertTrue(hasattr(module, name), name)

    def test_what_needs_the_platform_says_so_when_it_is_used(self):
        from openreward import AsyncOpenReward, SandboxSettings
        from openreward.toolsets import CLIToolset

        self.assertEqual(SandboxSettings(image="x").image, "x")
        self.assertFalse(isinstance(1, AsyncOpenReward))
        for use in (AsyncOpenReward, lambda: CLIToolset(None)):
            with self.assertRaises(NotInEnvironment):
                use()


class Names(unittest.TestCase):
    def guessed(self, source, chosen=None):
        author.request = {"entry": "env.py", "class": chosen}
        with mock.patch.object(author, "_source", source.encode()):
            return author.guessed_names()

    def test_names_are_read_from_the_source_of_a_module_that_waits(self):
        self.assertEqual(self.guessed("Server([A, b.Bee]).run()"), ["a", "bee"])
        self.assertEqual(self.guessed("ALL = [A]\nif x:\n  Server(ALL)"), ["a"])
        classes = "class Base(Environment): ...\nclass One(Base): ...\nclass Two(Base): ...\nclass T(BaseModel): ..."
        self.assertEqual(self.guessed(classes), ["one", "two"])
        self.assertEqual(self.guessed(classes, "Two"), ["two"])

    def test_two_classes_of_one_name_are_refused(self):
        from openreward.environments import Environment

        one = type("Same", (Environment,), {})
        with self.assertRaisesRegex(ValueError, "duplicate env same"):
            server.by_name([one, type("SAME", (Environment,), {})])
        with self.assertRaisesRegex(TypeError, "is not Environment"):
            server.by_name([int])


class Seeding(unittest.TestCase):
    def test_generators_without_a_seed_get_the_session_s(self):
        import random

        with mock.patch.object(random.Random, "__init__", random.Random.__init__):
            seeding.install()
            free, fixed = random.Random(), random.Random(3)
        drawn = []
        for value in (1, 2, 1):
            state = fixed.getstate()
            seeding.seed(value)
            self.assertEqual(fixed.getstate(), state)
            drawn.append((free.random(), random.random()))
        self.assertEqual(drawn[0], drawn[2])
        self.assertNotEqual(drawn[0], drawn[1])


class Tools(unittest.TestCase):
    def test_a_terminal_tool_needs_tool_and_one_field(self):
        from openreward.environments import Environment, ToolOutput, terminal, tool
        from pydantic import BaseModel

        class Two(BaseModel):
            a: str
            b: str

        class NoTool(Environment):
            @terminal
            async def end(self) -> ToolOutput: ...

        class TwoFields(Environment):
            @terminal
            @tool
            async def end(self, args: Two) -> ToolOutput: ...

        for cls, part in ((NoTool, "missing @tool"), (TwoFields, "at most one argument")):
            with self.assertRaisesRegex(ValueError, part):
                tools.find_terminal(cls)


class Conversation(unittest.TestCase):
    def test_a_conversation_is_flattened_for_a_prompt(self):
        from openreward.environments import Message, TextBlock, ToolCallBlock
        from orwd_guest.conversation import flatten_messages

        one = Message(role="user", blocks=[TextBlock(text="x")])
        self.assertEqual(flatten_messages([one]), [TextBlock(text="x")])
        two = Message(role="assistant", blocks=[ToolCallBlock(id="1", name="f", input={"a": 1})])
        texts = [block.text for block in flatten_messages([one, two])]
        self.assertEqual(texts, ["[user]", "x", "[assistant]", f"[tool_call f] {json.dumps({'a': 1})}"])


LATE = """
import inspect, sys
from orwd_guest.boot import archive, files

archive.archive.add("/2/late.py", b"import inspect, sys\\nSOURCE = inspect.getsource(sys.modules[__name__])\\n")
archive.install()
files.install()
sys.path.append("/2")
import late
print(late.SOURCE)
"""


class Late(unittest.TestCase):
    def test_a_module_that_is_imported_in_a_session_can_read_its_source(self):
        # In a process of its own, since it gets other files.
        done = subprocess.run([sys.executable, "-c", LATE], capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stdout.splitlines()[1], "SOURCE = inspect.getsource(sys.modules[__name__])")


if __name__ == "__main__":
    unittest.main()
