"""Stand-in for `openreward.environments`."""

from orwd_guest.conversation import flatten_messages
from orwd_guest.environment import Environment
from orwd_guest.host_only import placeholder as _placeholder
from orwd_guest.server import Server
from orwd_guest.tools import terminal, tool
from orwd_guest.toolset import Toolset
from orwd_guest.types import (
    SUPPORTED_MESSAGE_BLOCK_TYPES,
    Blocks,
    CreateSession,
    GroupCandidate,
    GroupScore,
    ImageBlock,
    JSONObject,
    JSONValue,
    ListToolsOutput,
    Message,
    MessageBlocks,
    ReasoningBlock,
    Role,
    RunToolError,
    RunToolOutput,
    RunToolSuccess,
    Split,
    TerminalToolSpec,
    TextBlock,
    ToolCall,
    ToolCallBlock,
    ToolOutput,
    ToolResultBlock,
    ToolSpec,
)

download_text = _placeholder("download_text", "sandbox")
upload_text = _placeholder("upload_text", "sandbox")

__all__ = [
    "Environment",
    "Server",
    "terminal",
    "tool",
    "TerminalToolSpec",
    "Toolset",
    "Blocks",
    "CreateSession",
    "GroupCandidate",
    "GroupScore",
    "ImageBlock",
    "JSONObject",
    "JSONValue",
    "ListToolsOutput",
    "Message",
    "MessageBlocks",
    "ReasoningBlock",
    "Role",
    "RunToolError",
    "RunToolOutput",
    "RunToolSuccess",
    "SUPPORTED_MESSAGE_BLOCK_TYPES",
    "TextBlock",
    "ToolCall",
    "ToolCallBlock",
    "ToolOutput",
    "ToolResultBlock",
    "ToolSpec",
    "Split",
    "download_text",
    "upload_text",
    "flatten_messages",
]
