from typing import Annotated, Any, ClassVar

from openreward.environments import Environment, TextBlock, ToolOutput, tool
from pydantic import BaseModel, Field


class Word(BaseModel):
    word: Annotated[str, Field(min_length=2)]
    extra: Any = None


class Late(Environment):
    """Imports when it needs something; keeps state in the class; skips the base."""

    counter: ClassVar[int] = 0

    def __init__(self, task_spec={}, secrets={}):
        self.spec = task_spec
        self.secrets = secrets

    @classmethod
    def list_splits(cls):
        return ["train"]

    @classmethod
    def list_tasks(cls, split):
        return ({"id": "tuple"}, {"id": "second", "nested": {"ü": [1, 2.5, None, True, {"": "\u2028"}]}})

    def get_prompt(self):
        return (TextBlock(text=self.spec["id"]),)

    @tool
    async def spell(self, args: Word) -> ToolOutput:
        """Spell."""
        from helpers import spelling

        Late.counter += 1
        return ToolOutput(blocks=[TextBlock(text=spelling.letters(args.word)), TextBlock(text=spelling.title())])

    @tool
    async def library(self) -> ToolOutput:
        """Use much of the standard library."""
        import collections
        import difflib
        import email.message
        import fractions
        import hashlib
        import html
        import statistics
        import textwrap
        import urllib.parse
        import xml.etree.ElementTree as tree
        from concurrent.futures import ThreadPoolExecutor

        said = [
            fractions.Fraction(3, 6),
            statistics.stdev([1, 2, 4]),
            hashlib.sha256(b"x").hexdigest()[:8],
            html.unescape("&eacute;"),
            textwrap.shorten("a long line of words", 12),
            urllib.parse.quote("a b/ü"),
            tree.fromstring("<a><b>1</b></a>").findtext("b"),
            collections.Counter("hello").most_common(1),
            difflib.get_close_matches("appel", ["ape", "apple"]),
            email.message.EmailMessage().get_content_type(),
        ]
        with ThreadPoolExecutor(2) as pool:
            said.append(list(pool.map(abs, [-1, -2])))
        return ToolOutput(blocks=[TextBlock(text=str(said))])

    @tool
    async def secret(self, args: Word) -> ToolOutput:
        """Tell a secret."""
        return ToolOutput(blocks=[TextBlock(text=f"{self.secrets.get(args.word, '<absent>')} of {len(self.secrets)}")])

    @tool
    def words(self) -> ToolOutput:
        """Read a file by a relative path."""
        with open("words.txt") as file:
            return ToolOutput(blocks=[TextBlock(text=file.read().split()[-1])])
