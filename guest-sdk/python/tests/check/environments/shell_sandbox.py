"""Gives the agent a shell in a container of the platform: cannot run."""

from openreward import AsyncOpenReward, SandboxSettings
from openreward.environments import Environment, TextBlock, ToolOutput, tool
from pydantic import BaseModel


class Line(BaseModel):
    command: str


class Shell(Environment):
    def __init__(self, task_spec={}, secrets={}):
        super().__init__(task_spec, secrets)
        self.settings = SandboxSettings(environment="me/shell", image="python:3.12")
        self.sandbox = AsyncOpenReward(api_key=secrets.get("api_key")).sandbox(self.settings)

    @classmethod
    def list_splits(cls):
        return ["train"]

    @classmethod
    def list_tasks(cls, split):
        return [{}]

    async def setup(self):
        await self.sandbox.start()

    def get_prompt(self):
        return [TextBlock(text="Find the flag.")]

    @tool
    async def bash(self, args: Line) -> ToolOutput:
        output = await self.sandbox.run(args.command)
        return ToolOutput(blocks=[TextBlock(text=output)], reward=0.0)
