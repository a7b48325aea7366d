import math

from openreward.environments import Environment, Split, TextBlock, ToolOutput, tool
from pydantic import BaseModel, Field


class Heat(BaseModel):
    """Power for one step."""

    power: float = Field(ge=0, le=10, description="Heating power in kW")


class Thermostat(Environment):
    """Keep a room at its target, with a reward at each step."""

    def __init__(self, task_spec={}, secrets={}):
        super().__init__(task_spec)
        self.temperature = float(task_spec.get("start", 10))
        self.target = float(task_spec.get("target", 20))
        self.steps = 0

    @classmethod
    def list_splits(cls):
        return [Split(name="easy", type="train"), Split(name="hard", type="test"), "validation", "extra"]

    @classmethod
    def list_tasks(cls, split):
        step = {"easy": 1, "hard": 7, "validation": 3, "extra": 2}[split]
        return [{"id": f"{split}-{i}", "start": 5 + i, "target": 18 + i * step / 4} for i in range(6)]

    def get_prompt(self):
        return [TextBlock(text=f"The room has {self.temperature:.2f} degrees, and should have {self.target:.2f}.")]

    @tool
    def heat(self, args: Heat) -> ToolOutput:
        """Heat for one step.

        The room loses a tenth of the difference to the outside.
            Indented lines keep their shape.
        """
        self.steps += 1
        self.temperature += args.power * 0.3 - (self.temperature - 5) * 0.1
        error = abs(self.temperature - self.target)
        return ToolOutput(
            blocks=[TextBlock(text=f"{self.temperature!r}", detail={"step": self.steps})],
            reward=math.exp(-error) - 0.01 * args.power,
            metadata={"error": error, "large": 10**20, "small": 1e-7, "none": None},
            finished=self.steps >= 3 or error < 0.01,
        )
