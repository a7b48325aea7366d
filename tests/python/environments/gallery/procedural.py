import random

from openreward.environments import Environment, TextBlock, ToolOutput, tool
from pydantic import BaseModel


class Answer(BaseModel):
    value: int


class Sums(Environment):
    """Tasks that exist by their index only."""

    @classmethod
    def list_splits(cls):
        return ["train", "test"]

    @classmethod
    def list_tasks(cls, split):
        raise NotImplementedError("there are too many")

    # The published server awaits both when it is asked for a range.
    @classmethod
    async def num_tasks(cls, split):
        return 1_000_000 if split == "train" else 100

    @classmethod
    async def get_task(cls, split, index):
        if not 0 <= index < await cls.num_tasks(split):
            raise IndexError(index)
        generator = random.Random(f"{split}-{index}")
        return {"numbers": [generator.randint(-99, 99) for _ in range(5)]}

    def get_prompt(self):
        return [TextBlock(text="Add " + ", ".join(map(str, self.task_spec["numbers"])))]

    @tool
    async def answer(self, args: Answer) -> ToolOutput:
        """Answer."""
        right = args.value == sum(self.task_spec["numbers"])
        return ToolOutput(blocks=[TextBlock(text="right" if right else "wrong")], reward=float(right), finished=True)


class Digits(Environment):
    """Lists nothing, and computes its number of tasks late."""

    @classmethod
    def list_splits(cls):
        return ["train"]

    @classmethod
    async def list_tasks(cls, split):
        return [{"n": n, "digits": str(3**n)} for n in range(40)]

    async def get_prompt(self):
        return [TextBlock(text=f"How many digits has 3**{self.task_spec['n']}?")]

    @tool
    async def answer(self, args: Answer) -> ToolOutput:
        """Answer."""
        right = args.value == len(self.task_spec["digits"])
        return ToolOutput(blocks=[TextBlock(text=str(right))], reward=1 if right else 0, finished=True)
