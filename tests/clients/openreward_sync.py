"""Episodes with the synchronous `openreward` client."""

import unittest

import loopback  # noqa: F401, first of all
from openreward import OpenReward
from openreward.api.errors import SessionTerminatedError, ToolCallError, ToolFailed


class Sync(unittest.TestCase):
    def test_an_episode(self):
        with OpenReward() as client:
            environment = client.environments.get("alpha")
            task = environment.list_tasks(split="test")[0]
            with environment.session(task=task) as session:
                self.assertEqual(session.get_prompt()[0].text, "task test-0")
                self.assertIn("echo", [tool.name for tool in session.list_tools()])
                echoed = session.call_tool("echo", {"text": "sync", "upper": True})
                self.assertEqual(echoed.blocks[0].text, "SYNC")
                end = session.call_tool("finish", {"reward": 1})
                self.assertEqual((end.reward, end.finished), (1.0, True))
                with self.assertRaises(ToolCallError) as caught:
                    session.call_tool("noargs", {})
                self.assertEqual(caught.exception.reason, "episode_finished")

    def test_a_terminal_tool(self):
        with OpenReward() as client:
            environment = client.environments.get("local", variant="termarg")
            with environment.session(split="train", index=1) as session:
                self.assertEqual(session.call_terminal_tool("6").reward, 1.0)

    def test_a_tool_that_fails(self):
        with OpenReward() as client:
            environment = client.environments.get("local", variant="alpha")
            with environment.session(split="train", index=0) as session:
                with self.assertRaisesRegex(ToolFailed, "boom"):
                    session.call_tool("fail", {"message": "boom"})
                with self.assertRaises(SessionTerminatedError):
                    session.call_tool("noargs", {})
