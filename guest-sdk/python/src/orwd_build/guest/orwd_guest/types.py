"""The types that environments of `openreward` and `ors` exchange with a server.

Names, fields and their order are those of the published packages, since
environments construct them and clients see them.
"""

from typing import Any, Literal, Mapping, Optional, Sequence, Union

from pydantic import BaseModel, Field, RootModel, model_validator
from typing_extensions import TypeAliasType

JSONValue = TypeAliasType("JSONValue", Union[Mapping[str, Any], Sequence[Any], str, int, float, bool, None])
JSONObject = Mapping[str, JSONValue]

SplitType = Literal["train", "validation", "test"]
Role = Literal["system", "user", "assistant"]
RunToolErrorReason = Literal["not_found", "name_collision", "input_validation", "episode_finished"]


class Split(BaseModel, extra="forbid"):
    """A named list of tasks."""

    name: str
    type: SplitType


class TextBlock(BaseModel, extra="forbid"):
    """A piece of text."""

    text: str
    detail: Optional[JSONObject] = None
    type: Literal["text"] = "text"


class ImageBlock(BaseModel, extra="forbid"):
    """A picture, as base64."""

    data: str
    mimeType: str
    detail: Optional[JSONObject] = None
    type: Literal["image"] = "image"


Blocks = TypeAliasType("Blocks", Sequence[Union[TextBlock, ImageBlock]])


class ReasoningBlock(BaseModel, extra="forbid"):
    """The reasoning of a model before its answer."""

    text: str
    signature: Optional[str] = None
    detail: Optional[JSONObject] = None
    type: Literal["reasoning"] = "reasoning"


class ToolCallBlock(BaseModel, extra="forbid"):
    """A call that a model made."""

    id: str
    name: str
    input: JSONObject
    detail: Optional[JSONObject] = None
    type: Literal["tool_call"] = "tool_call"


class ToolResultBlock(BaseModel, extra="forbid"):
    """The result of a call, in a message of the user."""

    tool_call_id: str
    blocks: Blocks
    is_error: bool = False
    detail: Optional[JSONObject] = None
    type: Literal["tool_result"] = "tool_result"


MessageBlocks = TypeAliasType(
    "MessageBlocks",
    Sequence[Union[TextBlock, ImageBlock, ReasoningBlock, ToolCallBlock, ToolResultBlock]],
)

SUPPORTED_MESSAGE_BLOCK_TYPES = ["text", "image", "reasoning", "tool_call", "tool_result"]

_PLACEMENT: dict[str, frozenset[str]] = {
    "system": frozenset({"text", "image"}),
    "user": frozenset({"text", "image", "tool_result"}),
    "assistant": frozenset({"text", "image", "reasoning", "tool_call"}),
}


class Message(BaseModel, extra="forbid"):
    """One message of a conversation."""

    role: Role
    blocks: MessageBlocks
    detail: Optional[JSONObject] = None

    @model_validator(mode="after")
    def check_block_placement(self) -> "Message":
        """Refuses blocks that a message of this role cannot have."""
        for block in self.blocks:
            if block.type not in _PLACEMENT[self.role]:
                raise ValueError(
                    f"A {block.type!r} block is not valid in a {self.role!r} message: "
                    f"reasoning and tool_call blocks belong in 'assistant' turns, "
                    f"tool_result blocks in 'user' turns (Anthropic placement semantics)."
                )
        return self


class ToolOutput(BaseModel, extra="forbid"):
    """The output of a tool."""

    blocks: Blocks
    metadata: Optional[JSONObject] = None
    reward: Optional[float] = None
    finished: bool = False


class RunToolSuccess(BaseModel, extra="forbid"):
    """A call that a tool answered."""

    ok: Literal[True] = True
    output: ToolOutput


class RunToolError(BaseModel, extra="forbid"):
    """A call that was refused."""

    ok: Literal[False] = False
    error: str
    reason: Optional[RunToolErrorReason] = None


class RunToolOutput(RootModel[Union[RunToolSuccess, RunToolError]]):
    """The result of a call."""

    root: Union[RunToolSuccess, RunToolError] = Field(discriminator="ok")


class ToolSpec(BaseModel, extra="forbid"):
    """A tool in a listing."""

    name: str
    description: str
    input_schema: Optional[JSONObject]


class TerminalToolSpec(BaseModel, extra="forbid"):
    """The terminal tool, and the name of its argument."""

    name: str
    arg: Optional[str] = None
    description: str = ""


class ListToolsOutput(BaseModel, extra="forbid"):
    """A listing of tools."""

    tools: list[ToolSpec]
    terminal_tool: Optional[TerminalToolSpec] = None
    supports_score_group: Optional[bool] = None
    message_block_types: Optional[list[str]] = None


class GroupCandidate(BaseModel, extra="forbid"):
    """A conversation to score."""

    messages: list[Message]
    metadata: Optional[JSONObject] = None


class GroupScore(BaseModel, extra="forbid"):
    """The score of one candidate."""

    reward: float
    metadata: Optional[JSONObject] = None


class ScoreGroup(BaseModel, extra="forbid"):
    """The body of a request to score a group."""

    candidates: list[GroupCandidate]
    task_id: Optional[str] = None


class ScoreGroupOutput(BaseModel, extra="forbid"):
    """The scores of a group."""

    scores: list[GroupScore]


class ToolCall(BaseModel, extra="forbid"):
    """The body of a call."""

    name: str
    input: JSONObject
    task_id: Optional[str] = None


class CreateSession(BaseModel, extra="forbid"):
    """The body of a request to create a session."""

    env_name: Optional[str] = None
    task_spec: Optional[JSONObject] = None
    split: Optional[str] = None
    index: Optional[int] = None
    toolset_name: Optional[str] = None
    secrets: Optional[Mapping[str, str]] = None
