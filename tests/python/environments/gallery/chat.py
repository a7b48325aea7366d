from openreward.environments import (
    Environment,
    GroupScore,
    Message,
    ReasoningBlock,
    TextBlock,
    ToolCallBlock,
    ToolOutput,
    ToolResultBlock,
    tool,
)

from common import text


class Dialogue(Environment):
    """A conversation to continue, and scores of a group."""

    @classmethod
    def list_splits(cls):
        return ["train"]

    @classmethod
    def list_tasks(cls, split):
        return [{"id": "short"}, {"id": "long", "long": True}, {"id": "rich", "score": "rich"}]

    async def get_messages(self):
        if not self.task_spec.get("long"):
            return [Message(role="user", blocks=[TextBlock(text="Say something.")])]
        return [
            Message(role="system", blocks=[TextBlock(text="Be kind.")], detail={"turn": 0}),
            Message(role="user", blocks=[TextBlock(text="What is 6 times 7?")]),
            Message(
                role="assistant",
                blocks=[
                    ReasoningBlock(text="I calculate.", signature="s"),
                    ToolCallBlock(id="c", name="calc", input={"a": 6, "b": [7, 1.5]}),
                ],
            ),
            Message(
                role="user",
                blocks=[
                    ToolResultBlock(tool_call_id="c", blocks=[TextBlock(text="42")]),
                    ToolResultBlock(tool_call_id="d", blocks=[TextBlock(text="no")], is_error=True),
                    TextBlock(text="And?"),
                ],
            ),
        ]

    @tool
    async def nod(self) -> ToolOutput:
        """Nod."""
        return text("nods")

    async def score_group(self, candidates):
        lengths = [
            sum(len(block.text) for message in c.messages for block in message.blocks if block.type == "text")
            for c in candidates
        ]
        if self.task_spec.get("score") == "rich":
            return [GroupScore(reward=n / 10, metadata={"n": n, **(c.metadata or {})}) for n, c in zip(lengths, candidates)]
        if not any(lengths):
            raise RuntimeError("nobody said anything")
        return lengths
