"""Stand-in for the package `ors`, inside of an environment on orwd."""

from orwd_guest.environment import Environment
from orwd_guest.server import Server
from orwd_guest.tools import terminal, tool
from orwd_guest.toolset import PlainToolset as Toolset
from orwd_guest.types import (
    Blocks,
    CreateSession,
    ImageBlock,
    JSONObject,
    JSONValue,
    ListToolsOutput,
    RunToolError,
    RunToolOutput,
    RunToolSuccess,
    Split,
    TextBlock,
    ToolCall,
    ToolOutput,
    ToolSpec,
)

__version__ = "0.1.0"

__all__ = [
    "Environment",
    "Server",
    "tool",
    "terminal",
    "Toolset",
    "Blocks",
    "CreateSession",
    "ImageBlock",
    "JSONObject",
    "JSONValue",
    "ListToolsOutput",
    "RunToolError",
    "RunToolOutput",
    "RunToolSuccess",
    "Split",
    "TextBlock",
    "ToolCall",
    "ToolOutput",
    "ToolSpec",
    "__version__",
]
