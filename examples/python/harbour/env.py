"""Questions about a table, which the agent explores by SQL."""

import csv
import json
import sqlite3
from pathlib import Path
from typing import Annotated

from openreward.environments import Environment, Server, Split, TextBlock, ToolOutput, terminal, tool
from pydantic import BaseModel, Field

# On a machine without the data folder, the one beside this file.
DATA = Path("/orwd_data") if Path("/orwd_data").exists() else Path(__file__).parent / "data"

QUESTIONS = json.loads((DATA / "questions.json").read_text(encoding="utf-8"))
with (DATA / "ships.csv").open(newline="", encoding="utf-8") as file:
    SHIPS = [{**row, "year": int(row["year"]), "tonnes": int(row["tonnes"])} for row in csv.DictReader(file)]
COLUMNS = list(SHIPS[0])


class Query(BaseModel):
    sql: str = Field(description="One SELECT statement on the table `ships`")
    limit: Annotated[int, Field(ge=1, le=50)] = 10


class Answer(BaseModel):
    answer: str


class Harbour(Environment):
    """One question. The database is new in each episode."""

    @classmethod
    def list_splits(cls):
        return [Split(name="train", type="train"), Split(name="test", type="test")]

    @classmethod
    def list_tasks(cls, split):
        return [{"id": q["id"], "question": q["question"]} for q in QUESTIONS[split]]

    def setup(self):
        # The published server may run each call in another thread.
        self.db = sqlite3.connect(":memory:", check_same_thread=False)
        self.db.execute(f"create table ships ({', '.join(COLUMNS)})")
        places = ", ".join(f":{column}" for column in COLUMNS)
        self.db.executemany(f"insert into ships values ({places})", SHIPS)
        self.db.execute("pragma query_only = on")

    def get_prompt(self):
        return [
            TextBlock(text=self.task_spec["question"]),
            TextBlock(text=f"The table `ships` has the columns {', '.join(COLUMNS)}. Answer in one word."),
        ]

    @tool
    def query(self, args: Query) -> ToolOutput:
        """Run a query, and get its rows as JSON."""
        rows = self.db.execute(args.sql).fetchmany(args.limit)
        return ToolOutput(blocks=[TextBlock(text=json.dumps(rows))], metadata={"rows": len(rows)})

    @terminal
    @tool
    def answer(self, args: Answer) -> ToolOutput:
        """Grade the answer."""
        known = {q["id"]: q["answer"] for questions in QUESTIONS.values() for q in questions}
        right = args.answer.strip().casefold() == known[self.task_spec["id"]].casefold()
        text = "right" if right else "wrong"
        return ToolOutput(blocks=[TextBlock(text=text)], reward=float(right), finished=True)


if __name__ == "__main__":
    Server([Harbour]).run()
