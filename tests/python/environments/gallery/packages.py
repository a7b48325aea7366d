import ast
import ctypes
import doctest  # noqa: F401
import http.client
import inspect
import json
import os
import tempfile

from openreward.environments import ToolOutput, tool
from pydantic import BaseModel

from common import OneSplit, text

LONG = (1 << (8 * ctypes.sizeof(ctypes.c_int) - 1)) - 1
HOME = os.path.expanduser("~")


class SafeConnection(http.client.HTTPSConnection):
    """What a client of HTTP derives when it is imported."""


class Point(ctypes.Structure):
    _fields_ = [("x", ctypes.c_uint8), ("y", ctypes.c_double)]


class Text(BaseModel):
    kind: str
    levels: int


class Packages(OneSplit):
    """Does what packages do while they are imported, and reads deep text."""

    @tool
    def imported(self) -> ToolOutput:
        """Use what was imported."""
        own = os.geteuid() == os.stat(tempfile.mkdtemp()).st_uid
        return text([LONG, ctypes.sizeof(Point), ctypes.sizeof(ctypes.c_char * 3), own, HOME == os.path.expanduser("~")])

    @tool
    def source(self) -> ToolOutput:
        """Show a source."""
        return text(inspect.getsource(Point))

    @tool
    def library(self) -> ToolOutput:
        """Load a library."""
        try:
            ctypes.CDLL("no-such-library.so")
        except OSError:
            return text("there is no such library")
        return text("loaded")

    @tool
    def read(self, args: Text) -> ToolOutput:
        """Read text of many levels."""
        n, here = args.levels, 40
        try:
            match args.kind:
                case "array":
                    json.loads("[" * n + "]" * n)
                case "object":
                    json.loads('{"[": ' * n + "1" + "}" * n)
                case "flat":
                    return text(len(json.loads(json.dumps([{"a": ["[[[", i]} for i in range(n)]))))
                case "sum":
                    return text(eval("+".join(["here"] * n)))
                case "calls":
                    compile("f" + "()" * n, "text", "exec")
                case "tree":
                    ast.parse("x" + ".y" * n)
                case "rows":
                    return text(len(ast.literal_eval("[" + "(-1, +1),\n" * n + "]")))
        except RecursionError:
            return text(f"{here}: too deep")
        return text("read")
