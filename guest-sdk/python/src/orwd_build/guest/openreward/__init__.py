"""Stand-in for the package `openreward`, inside of an environment on orwd."""

from orwd_guest.host_only import placeholder as _placeholder
from orwd_guest.host_only import settings as _settings
from orwd_guest.types import (
    GroupCandidate,
    GroupScore,
    Message,
    ReasoningBlock,
    TerminalToolSpec,
    ToolCallBlock,
    ToolResultBlock,
    ToolSpec,
)

__version__ = "0.1.167"

_CLIENTS = (
    "AssistantMessage AsyncEnvironmentsAPI AsyncOpenReward AsyncSession EnvironmentsAPI OpenReward Provider "
    "ReasoningItem ResponseChars Rollout RolloutAPI RolloutInfo RunInfo RunType ScoreGroupFailed "
    "ScoreGroupUnsupported Session SystemMessage TaskDifficulty ToolCall ToolResult TrainingStage UploadType "
    "UserMessage BuiltinToolset convert_messages sanitize_tool_schema judging tools toolsets"
).split()
_SANDBOXES = "AsyncSandboxesAPI SandboxesAPI RunResult hf_model_rules".split()
_SETTINGS = (
    "SandboxSettings SandboxBucketConfig SandboxSidecarContainer SandboxHostAlias SandboxNetworkPolicy "
    "SandboxEgressRule"
).split()

__all__ = [
    "GroupCandidate",
    "GroupScore",
    "Message",
    "ReasoningBlock",
    "TerminalToolSpec",
    "ToolCallBlock",
    "ToolResultBlock",
    "ToolSpec",
    *_CLIENTS,
    *_SANDBOXES,
    *_SETTINGS,
]

for _name in _CLIENTS:
    globals()[_name] = _placeholder(_name, "client")
for _name in _SANDBOXES:
    globals()[_name] = _placeholder(_name, "sandbox")
for _name in _SETTINGS:
    globals()[_name] = _settings(_name)
