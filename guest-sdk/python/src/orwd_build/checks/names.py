"""What names in a module stand for: imported things, and paths."""

from __future__ import annotations

import ast
import posixpath
from dataclasses import dataclass, field

#: Functions whose result is the path of their first argument.
_SAME = {"pathlib.Path", "pathlib.PurePath", "os.fspath", "str", "os.path.abspath", "os.path.realpath"}
_SAME_METHODS = {"resolve", "absolute", "expanduser"}

#: What a path that begins with the folder of the source file is written as.
HERE = "<here>"


@dataclass
class Names:
    """The names of one module."""

    imported: dict[str, str] = field(default_factory=dict)
    #: The values that a name is given at module level.
    values: dict[str, list[ast.expr]] = field(default_factory=dict)

    def full(self, node: ast.expr) -> str | None:
        """The full dotted name of an expression, through the imports."""
        if isinstance(node, ast.Name):
            return self.imported.get(node.id, node.id)
        if isinstance(node, ast.Attribute):
            base = self.full(node.value)
            return f"{base}.{node.attr}" if base else None
        return None

    def paths(self, node: ast.expr, depth: int = 0) -> set[str] | None:
        """The paths that an expression may be; none if they are not known."""
        if depth > 8:
            return None
        if isinstance(node, ast.Constant):
            return {node.value} if isinstance(node.value, str) else None
        if isinstance(node, ast.Name):
            if node.id == "__file__":
                return {f"{HERE}/__file__"}
            found: set[str] = set()
            for value in self.values.get(node.id, ()):
                paths = self.paths(value, depth + 1)
                if paths is None:
                    return None
                found |= paths
            return found or None
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
            return _joined([self.paths(part, depth + 1) for part in (node.left, node.right)])
        if isinstance(node, ast.Attribute) and node.attr == "parent":
            paths = self.paths(node.value, depth + 1)
            return paths and {posixpath.dirname(path) for path in paths}
        if isinstance(node, ast.IfExp):
            either = [self.paths(part, depth + 1) for part in (node.body, node.orelse)]
            return None if None in either else set().union(*filter(None, either))
        if isinstance(node, ast.Call):
            return self._call(node, depth)
        return None

    def _call(self, node: ast.Call, depth: int) -> set[str] | None:
        name = self.full(node.func)
        arguments = [self.paths(argument, depth + 1) for argument in node.args]
        if name in _SAME and arguments:
            return _joined(arguments)
        if name == "os.path.join" and arguments:
            return _joined(arguments)
        if name == "os.path.dirname" and len(arguments) == 1 and arguments[0]:
            return {posixpath.dirname(path) for path in arguments[0]}
        if isinstance(node.func, ast.Attribute):
            if node.func.attr in _SAME_METHODS:
                return self.paths(node.func.value, depth + 1)
            if node.func.attr == "joinpath":
                return _joined([self.paths(node.func.value, depth + 1), *arguments])
        return None


def read(tree: ast.Module) -> Names:
    """Reads the imports of a module, and the constants of its top level."""
    names = Names()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                first = alias.name.split(".")[0]
                names.imported[alias.asname or first] = alias.name if alias.asname else first
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                names.imported[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    for node in _top_level(tree.body):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        for target in targets:
            if isinstance(target, ast.Name) and node.value is not None:
                names.values.setdefault(target.id, []).append(node.value)
    return names


def _top_level(body: list[ast.stmt]) -> list[ast.Assign | ast.AnnAssign]:
    found: list[ast.Assign | ast.AnnAssign] = []
    for node in body:
        if isinstance(node, (ast.Assign, ast.AnnAssign)):
            found.append(node)
        elif isinstance(node, (ast.If, ast.Try, ast.With, ast.For, ast.While)):
            found += _top_level(node.body)
            found += _top_level(getattr(node, "orelse", []))
            for handler in getattr(node, "handlers", []):
                found += _top_level(handler.body)
    return found


def _joined(parts: list[set[str] | None]) -> set[str] | None:
    joined = {""}
    for part in parts:
        if part is None:
            return None
        joined = {posixpath.join(left, right) if left else right for left in joined for right in part}
    return joined
