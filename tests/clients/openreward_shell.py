"""The tool `bash`, as the published client calls it."""

import unittest

import loopback  # noqa: F401, first of all
from openreward import OpenReward


class Shell(unittest.TestCase):
    def test_an_agent_runs_bash(self):
        with OpenReward() as client:
            environment = client.environments.get("workbench")
            task = next(
                task
                for task in environment.list_tasks(split="train")
                if task.task_spec["id"] == "log-gaps-0"
            )
            with environment.session(task=task) as session:
                self.assertIn("bash", [tool.name for tool in session.list_tools()])
                result = session.call_tool("bash", {"command": "ls"})
                self.assertEqual(result.blocks[0].text, "sensor.log\n\n\n(exit 0)")
                self.assertEqual(result.metadata["output"], "sensor.log\n")
                self.assertEqual((result.finished, result.reward), (False, None))
                command = (
                    "awk 'NR>1 && $1-t>300 {print t, $1, $1-t} {t=$1}' sensor.log > gaps.txt"
                )
                result = session.call_tool("bash", {"command": command})
                self.assertEqual(result.reward, 0.25)
                # A failing command is a result, which does not end the session.
                result = session.call_tool("bash", {"command": "cat nope"})
                self.assertEqual(result.metadata["exit_code"], 1)
                result = session.call_tool("submit", {})
                self.assertEqual((result.finished, result.reward), (True, 0.25))

    def test_an_agent_with_a_toolset(self):
        with OpenReward() as client:
            environment = client.environments.get("workbench")
            with environment.session(
                split="playground", index=0, toolset="claude-code"
            ) as session:
                path = "/orwd_data/work/a.txt"
                session.call_tool("write", {"file_path": path, "content": "one\n"})
                session.call_tool(
                    "edit",
                    {"file_path": path, "old_string": "one", "new_string": "two"},
                )
                result = session.call_tool("bash", {"command": "cat a.txt"})
                self.assertEqual(result.metadata["output"], "two\n")
