"""Grades by a model behind an API: cannot run."""

import os

from openai import AsyncOpenAI
from openreward.environments import Environment, TextBlock, ToolOutput, tool
from pydantic import BaseModel


class Essay(BaseModel):
    text: str


class Judge(Environment):
    def __init__(self, task_spec={}, secrets={}):
        super().__init__(task_spec, secrets)
        self.client = AsyncOpenAI(api_key=os.environ["OPENAI_API_KEY"])

    @classmethod
    def list_splits(cls):
        return ["train"]

    @classmethod
    def list_tasks(cls, split):
        return [{"topic": "rivers"}]

    def get_prompt(self):
        return [TextBlock(text=self.task_spec["topic"])]

    @tool
    async def submit(self, args: Essay) -> ToolOutput:
        answer = await self.client.responses.create(model="small", input=args.text)
        return ToolOutput(blocks=[TextBlock(text=answer.output_text)], reward=1.0)
