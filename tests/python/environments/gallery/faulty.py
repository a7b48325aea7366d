import sys

from openreward.environments import TextBlock, ToolOutput, tool
from pydantic import BaseModel

from common import OneSplit, text


class How(BaseModel):
    how: str


class Odd(Exception):
    def __str__(self):
        raise ValueError("no message")


class Faulty(OneSplit):
    """Fails in every way, and lives on."""

    TASKS = [{"id": "fine"}, {"id": "init"}, {"id": "setup"}, {"id": "prompt"}, {"id": "prompt-type"}]

    def __init__(self, task_spec={}, secrets={}):
        super().__init__(task_spec, secrets)
        self.count = 0
        if task_spec.get("id") == "init":
            raise KeyError("the constructor")

    async def setup(self):
        if self.task_spec["id"] == "setup":
            raise RuntimeError("the setup")

    def get_prompt(self):
        if self.task_spec["id"] == "prompt":
            raise LookupError("the prompt")
        return [TextBlock(text="Break it.")]

    @tool
    async def fail(self, args: How) -> ToolOutput:
        """Fail."""
        self.count += 1
        match args.how:
            case "value":
                raise ValueError("a value, ünlaut \u2028 and \U0001f600")
            case "empty":
                raise RuntimeError
            case "key":
                return text({}["missing"])
            case "type":
                return "not an output"
            case "recursion":
                return await self.fail(args)
            case "assert":
                assert self.count < 0, "an assertion"
            case "import":
                import no_such_module  # noqa: F401
            case "zero":
                return text(1 / 0)
            case "group":
                raise ExceptionGroup("several", [ValueError("one"), TypeError("two")])
        return text(f"{args.how} {self.count}")

    @tool
    async def leave(self, args: How) -> ToolOutput:
        """Leave in ways that end a process."""
        self.count += 1
        match args.how:
            case "exit":
                sys.exit(3)
            case "interrupt":
                raise KeyboardInterrupt
            case "odd":
                raise Odd
            case "surrogate":
                return text("\ud800")
            case "thread":
                import threading

                threading.Thread(target=print).start()
            case "process":
                import subprocess

                subprocess.run(["ls"])
            case "deadlock":
                import asyncio

                await asyncio.Event().wait()
        return text(f"{args.how} {self.count}")
