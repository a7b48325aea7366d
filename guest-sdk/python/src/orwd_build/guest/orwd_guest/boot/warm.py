"""Does once, in the snapshot, what each instance would otherwise do first."""

import asyncio
import gc
import json
import traceback
from typing import Any

from pydantic import ValidationError

from orwd_guest import calls, tools
from orwd_guest.environment import Environment
from orwd_guest.types import ListToolsOutput, Message, TextBlock, ToolOutput


def interpreter() -> None:
    """Imports lazily imported modules of the interpreter and of pydantic."""
    import concurrent.futures.thread  # noqa: F401
    import encodings.idna  # noqa: F401
    import importlib.resources  # noqa: F401

    output = ToolOutput(blocks=[TextBlock(text="")])
    ToolOutput.model_json_schema()
    Message(role="user", blocks=[TextBlock(text="")])
    ListToolsOutput(tools=[])
    json.dumps(output.model_dump())
    try:
        ToolOutput.model_validate({"blocks": 1, "other": 1})
    except ValidationError as error:
        str(error)
        str(error.errors())
        traceback.format_exc()

    async def loop() -> None:
        await asyncio.gather(asyncio.sleep(0), asyncio.to_thread(int))
        async with asyncio.Lock():
            pass
        await asyncio.wait_for(asyncio.sleep(0), 1)

    calls.run(loop)


def environment(cls: type[Environment]) -> None:
    """Computes the schemas of an environment, and provokes one error of each
    input."""
    cls.list_tools()
    for owner in (cls, *(cls.toolsets or ())):
        for name in dir(owner):
            fn: Any = getattr(owner, name, None)
            if not tools.is_tool(fn):
                continue
            hints, params = tools.signature(fn)
            if params:
                try:
                    hints[params[0].name](**{})
                except ValidationError as error:
                    str(error.errors())
                except Exception:
                    # A validator of the author; it answers in the session.
                    continue


def settle() -> None:
    """Leaves a heap that later collections do not touch."""
    gc.collect()
    gc.freeze()
