"""Opens files of its author's machine, the network, threads: cannot run."""

import json
import ssl
import threading
import urllib.request

import pandas as pd
from openreward.environments import Environment, TextBlock, ToolOutput, tool

TASKS = json.load(open("/home/author/tasks.json"))
TABLE = pd.read_csv("https://example.invalid/table.csv")


class Reader(Environment):
    def setup(self):
        self.cache = json.loads(open("cache.json").read())
        self.refresh = threading.Thread(target=self.load, daemon=True)
        self.refresh.start()

    @classmethod
    def list_splits(cls):
        return ["train"]

    @classmethod
    def list_tasks(cls, split):
        return TASKS

    def get_prompt(self):
        return [TextBlock(text=input("Prompt: "))]

    @tool
    def load(self) -> ToolOutput:
        page = urllib.request.urlopen(self.task_spec["url"], context=ssl.create_default_context())
        return ToolOutput(blocks=[TextBlock(text=page.read().decode())])
