import sqlite3

from openreward.environments import ToolOutput, tool
from pydantic import BaseModel

from common import OneSplit, text


class Query(BaseModel):
    sql: str


class Ledger(OneSplit):
    """A database in memory."""

    def setup(self):
        # The published server may run each call in another thread.
        self.db = sqlite3.connect(":memory:", check_same_thread=False)
        self.db.executescript(
            "create table account (name text primary key, balance integer);"
            "insert into account values ('ada', 70), ('bob', 30);"
        )

    def teardown(self):
        self.db.close()

    @tool
    def query(self, args: Query) -> ToolOutput:
        """Run SQL."""
        try:
            rows = self.db.execute(args.sql).fetchall()
        except sqlite3.Error as error:
            return text(f"{type(error).__name__}: {error}")
        total = self.db.execute("select sum(balance) from account").fetchone()[0]
        return text(rows, reward=0.0 if total == 100 else -1.0)
