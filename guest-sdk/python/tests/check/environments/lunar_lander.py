"""A lander with a dense reward: pure Python and pydantic."""

import math
import random
from typing import Literal

from openreward.environments import Environment, Server, TextBlock, ToolOutput, tool
from pydantic import BaseModel, Field


class Burn(BaseModel):
    engine: Literal["main", "left", "right"]
    seconds: float = Field(gt=0, le=2)


class LunarLander(Environment):
    """Land softly."""

    def __init__(self, task_spec={}, secrets={}):
        super().__init__(task_spec)
        self.random = random.Random(task_spec.get("seed", 0))
        self.height, self.speed = 100.0, -self.random.uniform(1, 5)

    @classmethod
    def list_splits(cls):
        return ["train", "test"]

    @classmethod
    def list_tasks(cls, split):
        return [{"seed": seed} for seed in range(100)]

    def get_prompt(self):
        return [TextBlock(text=f"You are {self.height:.0f} m above the moon.")]

    @tool
    def burn(self, args: Burn) -> ToolOutput:
        """Fire an engine."""
        self.speed += args.seconds * (2.5 if args.engine == "main" else 0.1) - 1.6
        self.height += self.speed
        done = self.height <= 0
        reward = math.exp(-abs(self.speed)) if done else 0.01
        return ToolOutput(
            blocks=[TextBlock(text=f"{self.height:.1f} m")], reward=reward, finished=done
        )


if __name__ == "__main__":
    import subprocess

    subprocess.run(["clear"])
    Server([LunarLander]).run(port=8080)
