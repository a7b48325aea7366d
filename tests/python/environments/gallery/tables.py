import csv
import json
import os
from pathlib import Path

from openreward.environments import Environment, TextBlock, ToolOutput, tool
from pydantic import BaseModel

from common import OneSplit, text

HERE = os.path.dirname(os.path.abspath(__file__))
if os.path.exists("/orwd_data/questions.json"):
    with open("/orwd_data/questions.json") as file:
        QUESTIONS = json.load(file)
else:
    with open(os.path.join(HERE, "questions.json"), encoding="utf-8") as file:
        QUESTIONS = json.load(file)

SQUARES = {n: n * n for n in range(50_000)}


class Guess(BaseModel):
    guess: str


class Capitals(OneSplit):
    """JSON at module level."""

    TASKS = [{"id": q["id"], "question": q["question"]} for q in QUESTIONS]

    def get_prompt(self):
        return [TextBlock(text=self.task_spec["question"])]

    @tool
    async def guess(self, args: Guess) -> ToolOutput:
        """Guess the capital."""
        known = {q["id"]: q["answers"] for q in QUESTIONS}
        right = args.guess.strip().casefold() in [a.casefold() for a in known[self.task_spec["id"]]]
        return text("yes" if right else "no", reward=float(right), finished=right)


class Cities(Environment):
    """CSV, read when the tasks are asked for, and again in a tool."""

    @classmethod
    def list_splits(cls):
        return ["train"]

    @classmethod
    def list_tasks(cls, split):
        with (Path(__file__).parent / "cities.csv").open(newline="", encoding="utf-8") as file:
            return [{**row, "inhabitants": int(row["inhabitants"])} for row in csv.DictReader(file)]

    def get_prompt(self):
        return [TextBlock(text=f"How many people live in {self.task_spec['name']}?")]

    @tool
    async def files(self) -> ToolOutput:
        """List the files beside the module."""
        names = sorted(name for name in os.listdir(HERE) if name.endswith((".csv", ".json")))
        sizes = [os.path.getsize(os.path.join(HERE, name)) for name in names]
        found = sorted(path.name for path in Path(HERE).glob("*.csv"))
        return text(json.dumps([names, sizes, found, Path(HERE, "no.txt").exists()]))

    @tool
    async def write(self) -> ToolOutput:
        """Write a temporary file, and read it."""
        import tempfile

        with tempfile.NamedTemporaryFile("w+", suffix=".txt") as file:
            file.write("temporary")
            file.seek(0)
            return text(file.read())


class Number(BaseModel):
    number: int


class Lookup(OneSplit):
    """A large table at module level."""

    @tool
    async def square(self, args: Number) -> ToolOutput:
        """Look a square up."""
        return text(SQUARES.get(args.number, "unknown"))
