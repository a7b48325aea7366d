from openreward.environments import ListToolsOutput, Toolset, ToolOutput, ToolSpec, tool
from pydantic import BaseModel

from common import OneSplit, text


class Words(BaseModel):
    words: str


class Loud:
    """A toolset without a base class."""

    @tool
    async def shout(self, words: Words) -> ToolOutput:
        """Shout."""
        return text(words.words.upper() + "!")

    @tool
    async def both(self) -> ToolOutput:
        """Also declared by the environment."""
        return text("toolset")


class Bench(Toolset):
    """A toolset that uses what the environment has."""

    @tool
    async def use(self) -> ToolOutput:
        """Use the bench."""
        self.env.used += 1
        return text(f"{self.sandbox} {self.env.used}")


class Workshop(OneSplit):
    """Toolsets, tools of a task, tools that are not listed."""

    toolsets = [Loud, Bench]
    TASKS = [{"id": "plain"}, {"id": "more", "more": True}]

    def __init__(self, task_spec={}, secrets={}):
        super().__init__(task_spec, secrets)
        self.sandbox = "bench"
        self.used = 0

    def list_task_tools(self):
        if not self.task_spec.get("more"):
            return ListToolsOutput(tools=[])
        schema = {"type": "object", "properties": {"words": {"type": "string"}}, "required": ["words"]}
        return ListToolsOutput(tools=[ToolSpec(name="whisper", description="Whisper.", input_schema=schema)])

    @tool(shared=False)
    async def whisper(self, words: Words) -> ToolOutput:
        """Whisper."""
        return text(words.words.lower())

    @tool(shared=False)
    async def both(self) -> ToolOutput:
        """Also declared by a toolset."""
        return text("environment")

    @tool(concurrent=True)
    async def look(self) -> ToolOutput:
        """Look."""
        return text("a workshop")

    @tool(exclusive=True)
    async def leave(self) -> ToolOutput:
        """Leave."""
        return text("gone", finished=True, reward=0.25)
