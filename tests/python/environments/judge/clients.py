"""Tools that ask with the clients of Python, beside that of the template."""

import asyncio
import json
import urllib.request

from openreward.environments import TextBlock, ToolOutput, tool
from pydantic import BaseModel


class Request(BaseModel):
    url: str
    model: str = "m"
    text: str = ""
    times: int = 1


def said(text, reward=0.0):
    return ToolOutput(blocks=[TextBlock(text=text)], reward=reward, finished=False)


def messages(text):
    return [{"role": "user", "content": text}]


class Clients:
    @tool
    async def gather(self, params: Request) -> ToolOutput:
        """Ask the model several times at once."""
        create = self.judge.chat.completions.create
        asked = [create(model=params.model, messages=messages(f"{params.text} {i}")) for i in range(params.times)]
        replies = await asyncio.gather(*asked)
        scores = [float(reply.choices[0].message.content) for reply in replies]
        return said(str(scores), sum(scores) / len(scores))

    @tool
    async def first(self, params: Request) -> ToolOutput:
        """Ask twice, and leave the slower one."""
        import httpx

        async with httpx.AsyncClient(headers={"Authorization": f"Bearer {self.judge.api_key}"}) as client:
            bodies = [{"model": model, "messages": messages(params.text)} for model in ("meet-1000", params.model)]
            asked = {asyncio.ensure_future(client.post(params.url, json=body)) for body in bodies}
            done, left = await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
            for task in left:
                task.cancel()
            await asyncio.wait(left)
            return said(f"{len(done)} {done.pop().result().status_code} {[task.cancelled() for task in left]}")

    @tool
    def plainly(self, params: Request) -> ToolOutput:
        """Ask with clients that wait, of which some are imported here first."""
        import anthropic
        import requests
        from openai import OpenAI
        from tavily import TavilyClient

        host = params.url.removesuffix("/v1")
        key = self.judge.api_key
        chat = f"{params.url}/chat/completions"
        body = {"model": "m", "messages": messages(params.text)}
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        request = urllib.request.Request(chat, json.dumps(body).encode(), headers)
        with urllib.request.urlopen(request) as response:
            texts = [json.load(response)["choices"][0]["message"]["content"]]
        texts.append(requests.post(chat, json=body, headers=headers).json()["object"])
        one = OpenAI(base_url=params.url, api_key=key)
        texts.append(one.chat.completions.create(**body).choices[0].message.content)
        two = anthropic.Anthropic(base_url=host, api_key=key)
        texts.append(two.messages.create(max_tokens=9, **body).content[0].text)
        three = TavilyClient(api_key=key, api_base_url=host)
        texts.append(three.search(params.text)["results"][0]["content"])
        return said(" ".join(texts))

    @tool
    def shown(self) -> ToolOutput:
        """Show the key as the environment has it."""
        return said(self.judge.api_key)


def add_to(environment):
    """Gives an environment these tools."""
    for name in ("gather", "first", "plainly", "shown"):
        setattr(environment, name, vars(Clients)[name])
