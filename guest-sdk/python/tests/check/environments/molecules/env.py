"""Chemistry with a native package, and a model on tensors: cannot run."""

import scoring
from openreward.environments import Environment, TextBlock, ToolOutput, tool
from pydantic import BaseModel


class Molecule(BaseModel):
    smiles: str


class Molecules(Environment):
    @classmethod
    def list_splits(cls):
        return ["train"]

    @classmethod
    def list_tasks(cls, split):
        return [{"target": 2.0}]

    def get_prompt(self):
        return [TextBlock(text="Propose a molecule.")]

    @tool
    def propose(self, args: Molecule) -> ToolOutput:
        return ToolOutput(blocks=[TextBlock(text="ok")], reward=scoring.score(args.smiles))
