"""Renders conversations as prompts."""

import json
from typing import Any, Sequence, Union

from orwd_guest.types import (
    ImageBlock,
    Message,
    ReasoningBlock,
    TextBlock,
    ToolCallBlock,
    ToolResultBlock,
)

PlainBlock = Union[TextBlock, ImageBlock]


def flatten_messages(messages: Sequence[Message]) -> list[PlainBlock]:
    """Renders a conversation as blocks of text and images, for clients that ask
    for a prompt. One plain message of the user stays as it is."""
    messages = list(messages)
    if len(messages) == 1 and messages[0].role == "user":
        blocks = list(messages[0].blocks)
        if all(isinstance(block, (TextBlock, ImageBlock)) for block in blocks):
            return blocks  # type: ignore[return-value]
    flat: list[PlainBlock] = []
    for message in messages:
        flat.append(TextBlock(text=f"[{message.role}]", detail={"role": message.role}))
        for block in message.blocks:
            flat.extend(_flatten(block))
    return flat


def _flatten(block: Any) -> list[PlainBlock]:
    match block:
        case ReasoningBlock():
            return [TextBlock(text=f"<think>{block.text}</think>", detail={"type": "reasoning"})]
        case ToolCallBlock():
            text = f"[tool_call {block.name}] {json.dumps(dict(block.input))}"
            return [TextBlock(text=text, detail={"type": "tool_call", "id": block.id})]
        case ToolResultBlock():
            head = "[tool_result (error)]" if block.is_error else "[tool_result]"
            detail = {"type": "tool_result", "tool_call_id": block.tool_call_id}
            return [TextBlock(text=head, detail=detail), *block.blocks]
        case _:
            return [block]
