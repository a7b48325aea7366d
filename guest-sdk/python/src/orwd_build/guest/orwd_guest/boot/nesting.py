"""Text that is nested more deeply than the interpreter can follow.

CPython ends a recursion by the addresses of its frames. In a component many of its
functions have none there, so deep text would use up the stack of the machine, and
that ends the session. With this module such text raises RecursionError, as it does
elsewhere.
"""

import ast
import builtins
import inspect
import json
import re
import sys
from typing import Any, Optional

#: Levels of JSON. The interpreter ends at about 4000.
MAX_JSON = 2000

#: Levels of an expression that becomes a syntax tree. The interpreter ends at about
#: 2500.
MAX_TREE = 2000

#: Levels of an expression that becomes code. The interpreter ends at about 14,000.
MAX_CODE = 10_000

#: Characters whose brackets are counted at once. Fewer than levels, so that flat
#: text is not read in detail.
_PIECE = 1024

_JSON = re.compile(r'"(?:[^"\\]|\\.)*"|[\[{]|[\]}]')
_SOURCE = re.compile(
    r'"""(?:[^\\]|\\.)*?"""|\'\'\'(?:[^\\]|\\.)*?\'\'\'|"(?:[^"\\\n]|\\.)*"|\'(?:[^\'\\\n]|\\.)*\'|#[^\n]*'
    r"|(?P<open>[(\[{])|(?P<close>[)\]}])|(?P<end>[,;:=\n])|(?P<deeper>[-+*/%@&|^<>~.!]|\b(?:not|if|else|lambda|await)\b)",
    re.DOTALL,
)
_DEEPER = ("+", "-", "*", "/", "%", "@", "&", "|", "^", "<", ">", "~", ".", "(", "[", "{", "not", "if", "await")


def check_json(text: str) -> None:
    """Raises RecursionError for JSON with too many levels."""
    bound = 0
    for start in range(0, len(text), _PIECE):
        end = start + _PIECE
        opened = text.count("[", start, end) + text.count("{", start, end)
        if bound + opened > MAX_JSON:
            return _check_json(text)
        bound += opened - text.count("]", start, end) - text.count("}", start, end)


def _check_json(text: str) -> None:
    """Counts the levels, without those in strings."""
    depth = 0
    for found in _JSON.finditer(text):
        first = found.group()[0]
        if first in "[{":
            depth += 1
            if depth > MAX_JSON:
                raise RecursionError("maximum recursion depth exceeded while decoding JSON")
        elif first != '"':
            depth -= 1


def check_source(source: Any, limit: int) -> None:
    """Raises RecursionError for an expression with too many levels."""
    if isinstance(source, (bytes, bytearray, memoryview)):
        source = bytes(source).decode("latin-1")
    if not isinstance(source, str) or len(source) <= limit:
        return
    if sum(source.count(part) for part in _DEEPER) <= limit:
        return
    # Levels in each bracket that is open, since the last comma.
    levels = [0]
    depth = 0
    for found in _SOURCE.finditer(source):
        kind = found.lastgroup
        if kind == "open":
            levels[-1] += 1
            levels.append(0)
            depth += 1
        elif kind == "close" and len(levels) > 1:
            depth -= levels.pop()
        elif kind == "deeper":
            levels[-1] += 1
            depth += 1
        elif kind == "end" and (len(levels) == 1 or found.group() != "\n"):
            depth -= levels[-1]
            levels[-1] = 0
        if depth > limit:
            raise RecursionError("maximum recursion depth exceeded during compilation")


def install() -> None:
    """Makes the decoder of JSON and the compiler raise."""
    decoder: Any = json.JSONDecoder
    raw_decode = decoder.raw_decode

    def checked(self: Any, s: str, idx: int = 0) -> Any:
        check_json(s)
        return raw_decode(self, s, idx)

    decoder.raw_decode = checked
    _compiler()


def _compiler() -> None:
    module: Any = builtins
    to_code, evaluate, execute = compile, eval, exec

    def checked_compile(source: Any, filename: Any, mode: str, flags: int = 0, *rest: Any, **named: Any) -> Any:
        check_source(source, MAX_TREE if flags & ast.PyCF_ONLY_AST else MAX_CODE)
        return to_code(source, filename, mode, flags, *rest, **named)

    def checked_eval(source: Any, /, globals: Any = None, locals: Any = None) -> Any:
        check_source(source, MAX_CODE)
        globals, locals = _scope(globals, locals)
        return evaluate(source, globals, locals)

    def checked_exec(source: Any, /, globals: Any = None, locals: Any = None, *, closure: Any = None) -> None:
        check_source(source, MAX_CODE)
        globals, locals = _scope(globals, locals)
        execute(source, globals, locals, closure=closure)

    module.compile, module.eval, module.exec = checked_compile, checked_eval, checked_exec


def _scope(globals: Optional[Any], locals: Optional[Any]) -> tuple[Any, Any]:
    """Returns the names that code has which says nothing of them: those of its
    caller."""
    if globals is not None:
        return globals, locals
    frame = sys._getframe(2)
    if locals is None:
        own = frame.f_locals
        locals = dict(own) if frame.f_code.co_flags & inspect.CO_OPTIMIZED else own
    return frame.f_globals, locals
