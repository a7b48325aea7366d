"""Runs an agent's program in a process of its own: cannot run."""

import os
import subprocess
import tempfile
from concurrent.futures import ProcessPoolExecutor

from openreward.environments import Environment, TextBlock, ToolOutput, tool
from pydantic import BaseModel


class Program(BaseModel):
    source: str


class CodeRunner(Environment):
    @classmethod
    def list_splits(cls):
        return ["train"]

    @classmethod
    def list_tasks(cls, split):
        return [{"n": 1}]

    def get_prompt(self):
        return [TextBlock(text="Print 1.")]

    @tool
    def run(self, args: Program) -> ToolOutput:
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "main.py")
            with open(path, "w") as file:
                file.write(args.source)
            done = subprocess.run(["python3", path], capture_output=True, text=True, timeout=5)
        return ToolOutput(blocks=[TextBlock(text=done.stdout)], reward=1.0)

    @tool
    def run_all(self) -> ToolOutput:
        with ProcessPoolExecutor() as pool:
            results = list(pool.map(abs, [1, 2]))
        return ToolOutput(blocks=[TextBlock(text=str(results))])
