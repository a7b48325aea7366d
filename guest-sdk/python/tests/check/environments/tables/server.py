"""Tables by pandas and pyarrow, PyYAML, and imports that may fail."""

import json

import pandas as pd
import pyarrow.parquet as pq
import yaml
from openreward.environments import Environment, Server, TextBlock, ToolOutput, tool
from pydantic import BaseModel

try:
    import ujson as fast_json
except ImportError:
    fast_json = json

ROWS = pd.read_parquet("/orwd_data/tasks.parquet")


class Query(BaseModel):
    column: str


class Tables(Environment):
    @classmethod
    def list_splits(cls):
        return ["train"]

    @classmethod
    def list_tasks(cls, split):
        return ROWS.to_dict("records")

    def get_prompt(self):
        return [TextBlock(text=yaml.safe_dump(self.task_spec))]

    @tool
    def column(self, args: Query) -> ToolOutput:
        groups = pq.ParquetFile("/orwd_data/tasks.parquet").num_row_groups
        values = ROWS[args.column].head(5).tolist()
        text = fast_json.dumps({"groups": groups, "values": values}, default=str)
        return ToolOutput(blocks=[TextBlock(text=text)], reward=0.0)


if __name__ == "__main__":
    Server([Tables]).run()
