"""Generated sums, by index only, with a generator of numpy."""

import numpy as np
from ors import Environment, Server, TextBlock, ToolOutput, terminal, tool
from pydantic import BaseModel


class Answer(BaseModel):
    value: int


class Sums(Environment):
    @classmethod
    def list_splits(cls):
        return ["train"]

    @classmethod
    def num_tasks(cls, split):
        return 1_000_000

    @classmethod
    def get_task(cls, split, index):
        rng = np.random.default_rng(index)
        return {"numbers": [int(n) for n in rng.integers(0, 100, 5)]}

    def get_prompt(self):
        return [TextBlock(text=f"Add {self.task_spec['numbers']}.")]

    @terminal
    @tool
    def answer(self, args: Answer) -> ToolOutput:
        right = args.value == sum(self.task_spec["numbers"])
        return ToolOutput(blocks=[TextBlock(text=str(right))], reward=float(right), finished=True)


Server([Sums])
