"""On the package `ors`."""

from ors import Environment, Split, TextBlock, ToolOutput, tool
from ors.types import ImageBlock  # noqa: F401
from pydantic import BaseModel


class Move(BaseModel):
    by: int = 1


class Plain(Environment):
    @classmethod
    def list_splits(cls):
        return [Split(name="train", type="train")]

    @classmethod
    def list_tasks(cls, split):
        return [{"id": 1, "goal": 3}]

    def get_prompt(self):
        self.place = 0
        return [TextBlock(text="Walk to 3.")]

    @tool
    def move(self, args: Move) -> ToolOutput:
        """Move."""
        self.place = getattr(self, "place", 0) + args.by
        done = self.place == self.task_spec["goal"]
        return ToolOutput(blocks=[TextBlock(text=str(self.place))], reward=1.0 if done else None, finished=done)
