from openreward.environments import ToolOutput, terminal, tool
from pydantic import BaseModel

from common import OneSplit, text


class Final(BaseModel):
    answer: str


class Essay(OneSplit):
    """The final message is graded."""

    TASKS = [{"id": "short", "words": 3}]

    @tool
    async def count(self, args: Final) -> ToolOutput:
        """Count words."""
        return text(len(args.answer.split()))

    @terminal
    @tool
    async def grade(self, args: Final) -> ToolOutput:
        """Grade the essay."""
        good = len(args.answer.split()) == self.task_spec["words"]
        return text("graded", reward=float(good), finished=True)


class Verdict(OneSplit):
    """The state is graded, not the message."""

    @tool
    @terminal
    async def decide(self) -> ToolOutput:
        """Decide."""
        return text("decided", reward=0.5, finished=True)
