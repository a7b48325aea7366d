"""A kitchen with several stoves, which cook side by side."""

import asyncio
import random

from openreward.environments import Environment, Server, TextBlock, ToolOutput, tool
from pydantic import BaseModel, Field, field_validator

DISHES = ["soup", "rice", "fish", "beans", "pie", "tea"]
MINUTE = 0.001


class Plan(BaseModel):
    """When each dish is put on, in minutes from the start."""

    start: dict[str, int] = Field(description="The minute at which each dish is put on, by dish")

    @field_validator("start")
    @classmethod
    def not_before_the_start(cls, start: dict[str, int]) -> dict[str, int]:
        for dish, minute in start.items():
            if minute < 0:
                raise ValueError(f"{dish} cannot be put on before the start")
        return start


class Kitchen(Environment):
    """Tasks are known by their index only: there are a million."""

    @classmethod
    def list_splits(cls):
        return ["train", "test"]

    @classmethod
    def list_tasks(cls, split):
        raise NotImplementedError("there are too many to list")

    @classmethod
    async def num_tasks(cls, split):
        return 1_000_000

    @classmethod
    async def get_task(cls, split, index):
        if not 0 <= index < 1_000_000:
            raise IndexError(index)
        chance = random.Random(f"{split} {index}")
        dishes = chance.sample(DISHES, 3)
        return {"id": f"{split}-{index}", "minutes": {dish: chance.randint(3, 20) for dish in dishes}}

    async def setup(self):
        self.tries = 0
        self.stoves = asyncio.Semaphore(3)

    def get_prompt(self):
        minutes = ", ".join(f"{dish} takes {n}" for dish, n in self.task_spec["minutes"].items())
        return [TextBlock(text=f"Plan the menu so that all is ready at the same minute, and as early as can be: {minutes}.")]

    async def cook(self, dish: str, start: int, log: list[str]) -> int:
        await asyncio.sleep(start * MINUTE)
        async with self.stoves:
            end = start + self.task_spec["minutes"][dish]
            await asyncio.sleep((end - start) * MINUTE)
            log.append(f"minute {end}: {dish}")
            return end

    @tool
    async def serve(self, args: Plan) -> ToolOutput:
        """Cook by a plan, and see when each dish is ready. There are three tries."""
        missing = sorted(set(self.task_spec["minutes"]) ^ set(args.start))
        if missing:
            raise ValueError(f"the plan and the menu differ in {', '.join(missing)}")
        self.tries += 1
        log: list[str] = []
        ends = await asyncio.gather(*(self.cook(dish, start, log) for dish, start in sorted(args.start.items())))
        late = max(ends) - max(self.task_spec["minutes"].values())
        apart = max(ends) - min(ends)
        reward = 1 / (1 + apart + late)
        done = reward == 1 or self.tries == 3
        return ToolOutput(
            blocks=[TextBlock(text="\n".join(sorted(log)))],
            reward=reward,
            metadata={"apart": apart, "late": late},
            finished=done,
        )


if __name__ == "__main__":
    Server([Kitchen]).run()
