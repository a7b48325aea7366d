"""The tool `bash`, as the published client calls it."""

import json
import unittest
import urllib.request

import loopback  # before any client
from openreward import OpenReward


def fork(session, count):
    """Returns the ids of sessions with the past of another."""
    request = urllib.request.Request(
        f"{loopback.SERVER}/orwd/sessions/{session.sid}/fork",
        json.dumps({"count": count}).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)["sessions"]


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

    def test_a_fork_at_step_20_goes_two_ways(self):
        with OpenReward() as client:
            environment = client.environments.get("workbench")
            task = next(
                task
                for task in environment.list_tasks(split="train")
                if task.task_spec["id"] == "log-gaps-0"
            )

            def run(session, command):
                return session.call_tool("bash", {"command": command})

            with environment.session(task=task) as parent:
                for step in range(20):
                    result = run(parent, f"n={step}; echo $n >> notes")
                    self.assertEqual(result.metadata["exit_code"], 0)
                ends = []
                awk = "awk 'NR>1 && $1-t>300 {print t, $1, $1-t} {t=$1}' sensor.log"
                for child, way in zip(fork(parent, 2), [awk, "echo none"], strict=True):
                    with environment.session(task=task) as session:
                        # The client has no call for a fork: it goes on in the child.
                        opened, session._async.sid = session.sid, child
                        past = run(session, "wc -l < notes; echo $n")
                        self.assertEqual(past.metadata["output"], "20\n19\n")
                        run(session, f"{way} > gaps.txt")
                        ends.append(session.call_tool("submit", {}))
                        session._async.sid = opened
                self.assertEqual([end.finished for end in ends], [True, True])
                self.assertEqual([end.reward for end in ends], [0.25, 0.0])
                # The parent has gone neither way.
                self.assertEqual(run(parent, "ls").metadata["output"], "notes\nsensor.log\n")

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
