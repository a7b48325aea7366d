"""Loads the author's module, and finds the environments in it."""

import ast
import importlib
import inspect
import os
import sys
from types import ModuleType
from typing import Any, Optional

from orwd_guest import server
from orwd_guest.boot import files, layout
from orwd_guest.environment import Environment

request: dict[str, Any] = {}
_classes: Optional[dict[str, type[Environment]]] = None
_source = b""


class NoEnvironment(Exception):
    """The module has no environment that can be served."""


def classes() -> dict[str, type[Environment]]:
    """Returns the environments by name. Imports the author's module if that
    waited for the session."""
    global _classes
    if _classes is None:
        _classes = _load()
    return _classes


def unload(before: set[str]) -> None:
    """Forgets the author's modules, so that they are imported again."""
    for name in set(sys.modules) - before:
        path = getattr(sys.modules[name], "__file__", None) or ""
        if path.startswith(layout.AUTHOR + "/"):
            del sys.modules[name]
    server._recorded.clear()


def keep_source() -> None:
    """Keeps the source of the entry module, whose main part may run later."""
    global _source
    with open(f"{layout.AUTHOR}/{request['entry']}", "rb") as file:
        _source = file.read()


def guessed_names() -> list[str]:
    """Returns the names of the environments as far as the source shows them: the
    list of `Server([...])`, or else the classes that nothing derives."""
    tree = ast.parse(_source)
    chosen = request.get("class")
    if chosen:
        return [str(chosen).lower()]
    lists = {
        target.id: node.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] == "Server" and node.args:
            listed: Any = node.args[0]
            if isinstance(listed, ast.Name):
                listed = lists.get(listed.id)
            if isinstance(listed, (ast.List, ast.Tuple)):
                return [ast.unparse(element).split(".")[-1].lower() for element in listed.elts]
    known = {"Environment"}
    bases: set[str] = set()
    found = []
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            derived = {ast.unparse(base).split(".")[-1] for base in node.bases}
            if derived & known:
                known.add(node.name)
                bases |= derived
                found.append(node.name)
    return [name.lower() for name in found if name not in bases]


def _load() -> dict[str, type[Environment]]:
    entry: str = request["entry"]
    name = _module_name(entry)
    sys.argv = [f"{layout.AUTHOR}/{entry}"]
    try:
        module = importlib.import_module(name)
    except server.ServerStarted:
        module = sys.modules.get(name) or ModuleType(name)
    chosen = request.get("class")
    if chosen:
        cls = getattr(module, chosen, None)
        if not inspect.isclass(cls) or not issubclass(cls, Environment):
            raise NoEnvironment(f"{entry} has no class {chosen} that derives Environment")
        found: list[Any] = [cls]
    else:
        found = server.recorded() or _of_main(module) or _leaves(module)
    if not found:
        raise NoEnvironment(f"{entry} has no environment: expected Server([...]), or a class that derives Environment")
    named = server.by_name(found)
    for served, cls in named.items():
        reason = server.check(served, cls)
        if reason:
            raise NoEnvironment(reason)
    return named


def _module_name(entry: str) -> str:
    """Returns the name under which the entry module is imported. The folder of a
    module that is in no package is searched for imports, as for a script."""
    folder, _, file = entry.rpartition("/")
    if not folder or os.path.exists(f"{layout.AUTHOR}/{folder}/__init__.py"):
        return entry.removesuffix(".py").replace("/", ".")
    place = f"{layout.AUTHOR}/{folder}"
    if place not in sys.path:
        sys.path.insert(0, place)
    return file.removesuffix(".py")


def _of_main(module: ModuleType) -> list[type[Environment]]:
    """Runs the part of the module that starts the server, up to `Server.run`."""
    tree = ast.parse(_source)
    body = [node for node in tree.body if isinstance(node, ast.If) and _is_main(node.test)]
    if not body:
        return []
    main = ast.Module([inner for node in body for inner in node.body], [])
    try:
        exec(compile(main, f"{layout.AUTHOR}/{request['entry']}", "exec"), module.__dict__)
    except server.ServerStarted:
        pass
    except files.DataTouched:
        raise
    except (Exception, SystemExit) as error:
        if not server.recorded():
            print(f"the main part of {request['entry']} ended before Server(...): {type(error).__name__}: {error}")
    return server.recorded()


def _is_main(test: ast.expr) -> bool:
    text = ast.unparse(test)
    return "__name__" in text and "__main__" in text


def _leaves(module: ModuleType) -> list[type[Environment]]:
    """Returns the environments that the module defines and nothing derives."""
    own = [
        cls
        for cls in module.__dict__.values()
        if inspect.isclass(cls) and issubclass(cls, Environment) and cls.__module__ == module.__name__
    ]
    unique = list(dict.fromkeys(own))
    return [
        cls
        for cls in unique
        if not inspect.isabstract(cls) and not any(other is not cls and issubclass(other, cls) for other in unique)
    ]
