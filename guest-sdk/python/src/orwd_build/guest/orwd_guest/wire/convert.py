"""Converts between the types of authors and those of the interface."""

import base64
import binascii
import json
import math
from typing import Any, Iterable, Optional

from pydantic_core import to_json, to_jsonable_python
from wit_world.imports import types as wit

from orwd_guest import tools
from orwd_guest.environment import Environment
from orwd_guest.types import (
    GroupScore,
    ImageBlock,
    Message,
    ReasoningBlock,
    Split,
    TextBlock,
    ToolCallBlock,
    ToolOutput,
    ToolResultBlock,
)

_KINDS = {
    "train": wit.SplitKind.TRAIN,
    "validation": wit.SplitKind.VALIDATION,
    "test": wit.SplitKind.TEST,
}
_ROLES = {
    "system": wit.Role.SYSTEM,
    "user": wit.Role.USER,
    "assistant": wit.Role.ASSISTANT,
}


def text(value: Any) -> str:
    """Checks that a text can cross the interface, which has no lone surrogates."""
    value = str(value)
    value.encode("utf-8")
    return value


def task_json(task: Any) -> str:
    """Writes a task as the reference server does."""
    plain = json.dumps(task, ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=to_jsonable_python)
    if not plain.startswith("{"):
        raise TypeError(f"a task is a JSON object, and this is {type(task).__name__}")
    return text(plain)


def json_object(value: Any) -> Optional[str]:
    """Writes metadata or detail. Numbers that are not finite become null."""
    return None if value is None else to_json(value, inf_nan_mode="null").decode()


def schema_json(schema: Any) -> Optional[str]:
    """Writes a schema, with the order of its members."""
    if schema is None:
        return None
    return json.dumps(schema, ensure_ascii=False, separators=(",", ":"), default=to_jsonable_python)


def split(value: Any) -> wit.Split:
    """Converts a split, or the bare name of one."""
    if isinstance(value, Split):
        return wit.Split(value.name, _KINDS[value.type])
    return wit.Split(text(value), _KINDS.get(value, wit.SplitKind.VALIDATION))


def block(value: Any) -> Any:
    """Converts a block of a prompt or of an output."""
    if isinstance(value, TextBlock):
        return wit.Block_Text(_text_block(value))
    if isinstance(value, ImageBlock):
        return wit.Block_Image(_image_block(value))
    raise TypeError(f"expected a TextBlock or an ImageBlock, got {type(value).__name__}")


def blocks(values: Iterable[Any]) -> list[Any]:
    """Converts the blocks of a prompt."""
    return [block(value) for value in values]


def _text_block(value: TextBlock) -> wit.TextBlock:
    return wit.TextBlock(text(value.text), json_object(value.detail))


def _image_block(value: ImageBlock) -> wit.ImageBlock:
    try:
        data = base64.b64decode(value.data, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError(f"the data of an ImageBlock is not base64: {error}") from None
    return wit.ImageBlock(data, text(value.mimeType), json_object(value.detail))


def message(value: Message) -> wit.Message:
    """Converts a message."""
    return wit.Message(_ROLES[value.role], [_message_block(b) for b in value.blocks], json_object(value.detail))


def _message_block(value: Any) -> Any:
    match value:
        case TextBlock():
            return wit.MessageBlock_Text(_text_block(value))
        case ImageBlock():
            return wit.MessageBlock_Image(_image_block(value))
        case ReasoningBlock():
            return wit.MessageBlock_Reasoning(
                wit.ReasoningBlock(text(value.text), value.signature, json_object(value.detail))
            )
        case ToolCallBlock():
            return wit.MessageBlock_ToolCall(
                wit.ToolCallBlock(value.id, value.name, json_object(value.input) or "{}", json_object(value.detail))
            )
        case ToolResultBlock():
            return wit.MessageBlock_ToolResult(
                wit.ToolResultBlock(value.tool_call_id, blocks(value.blocks), value.is_error, json_object(value.detail))
            )
    raise TypeError(f"expected a block of a message, got {type(value).__name__}")


def message_of_client(value: Any) -> Message:
    """Converts a message that a client sent."""
    role = {kind: name for name, kind in _ROLES.items()}[value.role]
    return Message(role=role, blocks=[_block_of_client(b.value) for b in value.blocks], detail=_parsed(value.detail))


def _block_of_client(value: Any) -> Any:
    match value:
        case wit.TextBlock():
            return TextBlock(text=value.text, detail=_parsed(value.detail))
        case wit.ImageBlock():
            data = base64.b64encode(value.data).decode()
            return ImageBlock(data=data, mimeType=value.mime_type, detail=_parsed(value.detail))
        case wit.ReasoningBlock():
            return ReasoningBlock(text=value.text, signature=value.signature, detail=_parsed(value.detail))
        case wit.ToolCallBlock():
            call = json.loads(value.input)
            return ToolCallBlock(id=value.id, name=value.name, input=call, detail=_parsed(value.detail))
    result = [_block_of_client(b.value) for b in value.blocks]
    return ToolResultBlock(
        tool_call_id=value.tool_call_id, blocks=result, is_error=value.is_error, detail=_parsed(value.detail)
    )


def _parsed(value: Optional[str]) -> Any:
    return None if value is None else json.loads(value)


def output(value: ToolOutput) -> wit.ToolOutput:
    """Converts the output of a tool."""
    reward = value.reward
    if reward is not None and not math.isfinite(reward):
        reward = None
    return wit.ToolOutput(blocks(value.blocks), json_object(value.metadata), reward, value.finished)


def score(value: Any) -> wit.Score:
    """Converts a score, or a bare number."""
    if not isinstance(value, GroupScore):
        value = GroupScore(reward=float(value))
    return wit.Score(value.reward, json_object(value.metadata))


def described_tools(cls: type[Environment]) -> list[wit.Tool]:
    """Returns every tool that can be called, in the order of the listing."""
    last = cls.list_tools().terminal_tool
    described = []
    for owner in (cls, *(cls.toolsets or ())):
        for name in dir(owner):
            fn: Any = getattr(owner, name, None)
            if not cls._is_tool(fn):
                continue
            spec = tools.spec(name, fn)
            if last is not None and name == last.name:
                visibility: Any = wit.Visibility_Terminal(last.arg)
            elif tools.is_shared(fn):
                visibility = wit.Visibility_Listed()
            else:
                visibility = wit.Visibility_Unlisted()
            described.append(
                wit.Tool(
                    name,
                    text(spec.description),
                    schema_json(spec.input_schema),
                    _access(fn),
                    visibility,
                    None if owner is cls else owner.__name__,
                )
            )
    return described


def _access(fn: Any) -> wit.Access:
    if getattr(fn, "_env_tool_exclusive", False) or getattr(fn, "_env_tool_terminal", False):
        return wit.Access.EXCLUSIVE
    if getattr(fn, "_env_tool_concurrent", False):
        return wit.Access.CONCURRENT
    return wit.Access.SERIAL
