"""The name that a user gives to `environments.get` chooses the environment.

The server has the environments of the contract's fixtures, of which `alpha` is the
default, or `chat` alone.
"""

import math
import unittest

import loopback  # noqa: F401, first of all
from openreward import OpenReward
from openreward.api.environments.types import Task
from openreward.api.errors import ToolCallError

UNKNOWN = "Deployment not found. Environment name is case-sensitive"


class WithClient(unittest.TestCase):
    def setUp(self):
        self.client = OpenReward()
        self.addCleanup(self.client.close)

    def environment(self, name, variant=None):
        return self.client.environments.get(name, variant=variant)

    def plays(self, environment, name):
        """Checks by every kind of request that the environment is this one."""
        tools = {
            "alpha": "echo",
            "chat": "look",
            "termnone": None,
        }[name]
        listed = [tool.name for tool in environment.list_tools()]
        self.assertEqual(tools in listed, tools is not None, listed)
        task = environment.list_tasks(split="train")[0]
        self.assertEqual(task.environment_name, name)
        self.assertEqual(environment.get_task("train", 0).environment_name, name)
        self.assertGreater(environment.num_tasks("train"), 0)
        for session in (
            environment.session(task=task),
            environment.session(split="train", index=0),
        ):
            with session:
                self.assertEqual([tool.name for tool in session.list_tools()], listed)
                terminal = session.call_terminal_tool("") if name == "termnone" else None
                self.assertEqual(getattr(terminal, "reward", None), 0.5 if terminal else None)


class Several(WithClient):
    def test_required_secrets_are_those_of_the_name(self):
        for name in ("alpha", "me/alpha", "a/b/alpha"):
            secrets = self.environment(name).list_required_secrets()
            self.assertEqual(secrets, ["K", "L", "api_key"], name)

    def test_a_name_chooses_its_environment(self):
        self.plays(self.environment("chat"), "chat")
        self.plays(self.environment("alpha"), "alpha")
        self.plays(self.environment("termnone"), "termnone")

    def test_an_owner_before_the_name_is_ignored(self):
        self.plays(self.environment("me/chat"), "chat")
        self.plays(self.environment("a/b/chat"), "chat")

    def test_a_variant_decides_whatever_the_name_is(self):
        self.plays(self.environment("any/x", variant="chat"), "chat")
        self.plays(self.environment("alpha", variant="chat"), "chat")
        self.plays(self.environment("nonsense", variant="alpha"), "alpha")

    def test_an_unknown_name_is_refused(self):
        for name in ("nonsense", "me/nonsense", "Chat", "chat/other", "chat/"):
            environment = self.environment(name)
            for request in (
                environment.list_tools,
                environment.list_splits,
                lambda: environment.list_tasks(split="train"),
                lambda: environment.get_task("train", 0),
                lambda: environment.session(split="train", index=0).__enter__(),
            ):
                with self.assertRaises(Exception) as caught:
                    request()
                self.assertEqual(caught.exception.status, 404, name)
                self.assertIn(UNKNOWN, caught.exception.message, name)

    def test_a_task_names_its_own_environment(self):
        task = Task(
            server_name="alpha", environment_name="chat", task_spec={"id": "c0"}, namespace=None
        )
        with self.environment("alpha").session(task=task) as session:
            self.assertEqual([tool.name for tool in session.list_tools()], ["look"])
            self.assertEqual(session.call_tool("look", {}).blocks[0].text, "looked")

    def test_numbers_that_json_cannot_express(self):
        spec = {"id": "n", "n": 1, "limit": math.inf, "cells": [1.5, math.nan, -math.inf]}
        task = Task(server_name="alpha", environment_name="alpha", task_spec=spec, namespace=None)
        with self.environment("alpha").session(task=task) as session:
            self.assertEqual(session.get_prompt()[0].text, "task n")
            text = session.call_tool("spec", {}).blocks[0].text
            self.assertEqual(
                text.replace(" ", ""), '{"cells":[1.5,null,null],"id":"n","limit":null,"n":1}'
            )
            for given, field in (
                ({"text": math.nan}, "text"),
                ({"text": "a", "more": {"list": [0, -math.inf]}}, "more.list[1]"),
            ):
                with self.assertRaises(ToolCallError) as caught:
                    session.call_tool("echo", given)
                self.assertEqual(caught.exception.reason, "input_validation")
                self.assertIn(f"{field}: Input should be a finite number", str(caught.exception))
            # The words in a text are text, and the session goes on.
            echoed = session.call_tool("echo", {"text": "NaN and -Infinity"})
            self.assertEqual(echoed.blocks[0].text, "NaN and -Infinity")


class OnlyOne(WithClient):
    def test_every_name_is_that_of_the_only_environment(self):
        for name in ("chat", "me/chat", "nonsense", "me/nonsense", "Chat"):
            self.plays(self.environment(name), "chat")
        self.plays(self.environment("any/x", variant="chat"), "chat")
