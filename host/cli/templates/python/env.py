"""Bring a counter to a target."""

from openreward.environments import Environment, Server, Split, TextBlock, ToolOutput, tool
from pydantic import BaseModel, Field


class Add(BaseModel):
    by: int = Field(ge=-10, le=10, description="What to add to the counter")


class Counter(Environment):
    """One episode: an instance for each session."""

    def __init__(self, task_spec={}, secrets={}):
        super().__init__(task_spec)
        self.count = 0

    @classmethod
    def list_splits(cls):
        return [Split(name="train", type="train"), Split(name="test", type="test")]

    @classmethod
    def list_tasks(cls, split):
        targets = range(1, 9) if split == "train" else range(20, 24)
        return [{"id": f"{split}-{target}", "target": target} for target in targets]

    def get_prompt(self):
        return [TextBlock(text=f"Bring the counter from 0 to {self.task_spec['target']}.")]

    @tool
    async def add(self, args: Add) -> ToolOutput:
        """Add to the counter and report it."""
        self.count += args.by
        done = self.count == self.task_spec["target"]
        return ToolOutput(
            blocks=[TextBlock(text=str(self.count))],
            reward=1.0 if done else 0.0,
            finished=done,
        )


if __name__ == "__main__":
    Server([Counter]).run()
