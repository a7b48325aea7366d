"""Grades by a model, with the clients that Python environments use."""

import asyncio
import json
import urllib.request

import httpx
from openreward.environments import Environment, TextBlock, ToolOutput, tool
from pydantic import BaseModel


class Answer(BaseModel):
    url: str
    text: str
    times: int = 1


class Judge(Environment):
    def __init__(self, task_spec={}, secrets={}):
        super().__init__(task_spec, secrets)
        self.key = secrets.get("KEY", "none")

    @classmethod
    def list_splits(cls):
        return ["train"]

    @classmethod
    def list_tasks(cls, split):
        return [{}]

    def get_prompt(self):
        return [TextBlock(text="Write.")]

    @tool
    async def grade(self, params: Answer) -> ToolOutput:
        """Ask the model several times."""
        body = {"messages": [{"role": "user", "content": params.text}]}
        async with httpx.AsyncClient(headers={"Authorization": f"Bearer {self.key}"}) as client:
            asked = [client.post(params.url, json=body) for _ in range(params.times)]
            replies = [reply.raise_for_status().json() for reply in await asyncio.gather(*asked)]
        scores = [float(reply["choices"][0]["message"]["content"]) for reply in replies]
        return ToolOutput(blocks=[TextBlock(text=str(scores))], reward=sum(scores) / len(scores), finished=False)

    @tool
    def plainly(self, params: Answer) -> ToolOutput:
        """Ask with clients that wait."""
        headers = {"Authorization": f"Bearer {self.key}"}
        request = urllib.request.Request(params.url, json.dumps({"content": params.text}).encode(), headers)
        with urllib.request.urlopen(request) as response:
            said = [json.load(response)]
        said.append(httpx.post(params.url, json={}, headers=headers).json())
        text = " ".join(each["choices"][0]["message"]["content"] for each in said)
        return ToolOutput(blocks=[TextBlock(text=text)], reward=0.0, finished=False)

    @tool
    def shown(self) -> ToolOutput:
        """Show the key as the environment has it."""
        return ToolOutput(blocks=[TextBlock(text=self.key)], reward=0.0, finished=False)
