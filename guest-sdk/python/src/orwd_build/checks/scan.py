"""Reads the author's modules, from the entry on, and collects what will not work."""

from __future__ import annotations

import ast
import sys
from dataclasses import dataclass
from pathlib import Path

from orwd_build.checks import built, files, names, network, rules
from orwd_build.checks.built import Built
from orwd_build.checks.names import Names
from orwd_build.checks.project import Project
from orwd_build.checks.rules import Rule

#: The modules that define the base class of an environment.
BASES = ("openreward.", "ors.")

_STANDARD = frozenset(sys.stdlib_module_names) | rules.NEW_IN_GUEST


@dataclass(frozen=True, order=True)
class Finding:
    """Something that will not work, or differs."""

    file: Path
    line: int
    column: int
    code: str
    what: str
    reason: str
    remedy: str
    warning: bool


class Scan:
    """The findings in the modules that an entry imports."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.findings: set[Finding] = set()
        #: The environments: the arguments of `Server`, else the classes found.
        self.served: list[str] = []
        self.classes: list[str] = []
        self.modules: list[Path] = []
        #: Packages with native code that work.
        self.native: set[Built] = set()
        self.network = network.Uses()
        self._bases: dict[str, list[str]] = {}

    def run(self) -> None:
        """Reads all modules."""
        self._requirements()
        waiting = [self.project.entry]
        while waiting:
            path = waiting.pop()
            if path in self.modules:
                continue
            self.modules.append(path)
            tree = self._parse(path)
            if tree is not None:
                reader = _Reader(self, path, tree)
                reader.visit(tree)
                waiting += reader.imported
        for place, what, rule in self.network.findings(self.project.network):
            self.add(*place, what, rule)
        self._find_classes()
        if cls := self.project.cls:
            if cls not in self.classes and not self._syntax_errors():
                rule = Rule(
                    "no-environment",
                    "no module that is read has such an environment",
                    f"name one of: {', '.join(self.classes) or 'none'}",
                )
                self.add(self.project.entry, 1, 0, f"the class {cls}", rule)
            self.served = [cls]
            return
        if not self.served and not self.classes and not self._syntax_errors():
            what = self.project.entry.name
            rule = Rule(
                "no-environment",
                "it has no class that derives Environment of openreward or ors",
                "derive a class from openreward.environments.Environment",
            )
            self.add(self.project.entry, 1, 0, what, rule)

    def add(self, file: Path, line: int, column: int, what: str, rule: Rule) -> None:
        """Adds a finding."""
        code, reason, remedy, warning = rule
        self.findings.add(Finding(file, line, column, code, what, reason, remedy, warning))

    def note_class(self, name: str, bases: list[str]) -> None:
        """Notes a class and the full names of its bases."""
        self._bases[name] = bases

    def _find_classes(self) -> None:
        def derives(name: str, seen: frozenset[str]) -> bool:
            for base in self._bases.get(name, ()):
                last = base.rsplit(".", 1)[-1]
                if last == "Environment" and base.startswith(BASES):
                    return True
                if last not in seen and derives(last, seen | {last}):
                    return True
            return False

        parents = {base.rsplit(".", 1)[-1] for bases in self._bases.values() for base in bases}
        for name in self._bases:
            if name not in parents and derives(name, frozenset({name})):
                self.classes.append(name)

    def _syntax_errors(self) -> bool:
        return any(finding.code == "syntax" for finding in self.findings)

    def _parse(self, path: Path) -> ast.Module | None:
        try:
            return ast.parse(path.read_bytes(), filename=str(path))
        except SyntaxError as error:
            version = f"{sys.version_info[0]}.{sys.version_info[1]}"
            rule = Rule(
                "syntax",
                f"Python {version} cannot read it: {error.msg}",
                "correct the line; for syntax that is newer, run the check with Python 3.14",
            )
            self.add(path, error.lineno or 1, (error.offset or 1) - 1, path.name, rule)
        except ValueError as error:
            rule = Rule("syntax", f"it cannot be read: {error}", "save it as UTF-8")
            self.add(path, 1, 0, path.name, rule)
        return None

    def _requirements(self) -> None:
        for requirement in self.project.requirements:
            what = f"the requirement {requirement.text!r}"
            if requirement.project is None:
                rule = Rule(
                    "requirement-source",
                    "only packages of the package index are used, since nothing of an author runs while a "
                    "component is built",
                    "name a package of the index, or copy its Python files beside the environment",
                )
                self.add(requirement.file, requirement.line, 0, what, rule)
            elif found := rules.of_requirement(requirement.project):
                self.add(requirement.file, requirement.line, 0, what, found)
            elif found := built.of_requirement(requirement.project, requirement.text):
                self.add(requirement.file, requirement.line, 0, what, found)
            elif native := built.of_project(requirement.project):
                self.native.add(native)


class _Reader(ast.NodeVisitor):
    """Reads one module."""

    def __init__(self, scan: Scan, path: Path, tree: ast.Module) -> None:
        self.scan = scan
        self.path = path
        self.names: Names = names.read(tree)
        self.imported: list[Path] = []
        self._guarded = 0
        self._shadowed: list[set[str]] = []
        self._aliases = set(self.names.imported.values())

    def visit_If(self, node: ast.If) -> None:
        """Leaves out the main part, and what only type checkers read."""
        if self._is_main(node.test):
            self._served(node)
            for child in node.orelse:
                self.visit(child)
        elif self.names.full(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
            for child in node.orelse:
                self.visit(child)
        else:
            self.generic_visit(node)

    def visit_Try(self, node: ast.Try) -> None:
        """Takes a failed import that is handled for a difference."""
        handled = any(
            handler.type is None
            or any(
                name in ast.dump(handler.type)
                for name in ("ImportError", "ModuleNotFoundError", "'Exception'", "BaseException")
            )
            for handler in node.handlers
        )
        self._guarded += handled
        for child in node.body:
            self.visit(child)
        self._guarded -= handled
        for part in (*node.handlers, *node.orelse, *node.finalbody):
            self.visit(part)

    def visit_Import(self, node: ast.Import) -> None:
        """Checks imported modules."""
        for alias in node.names:
            self._import(node, alias.name, f"import {alias.name}")

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        """Checks imported modules."""
        module = node.module or ""
        if node.level:
            self._local(module, node.level)
            for alias in node.names:
                self._local(f"{module}.{alias.name}".lstrip("."), node.level)
            return
        for alias in node.names:
            full = f"{module}.{alias.name}"
            known = rules.of_import(full, _STANDARD)
            what = f"from {module} import {alias.name}"
            # `from google import genai` names a module by its second part.
            exact = known is not None and rules.of_import(module, _STANDARD) is None
            self._import(node, full if exact else module, what)
            self._local(full, 0)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        """Notes classes, to find the environments."""
        bases = [name for base in node.bases if (name := self.names.full(base))]
        self.scan.note_class(node.name, bases)
        self.generic_visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        """Reads a function, whose own names hide those of the module."""
        own = {argument.arg for argument in ast.walk(node.args) if isinstance(argument, ast.arg)}
        for child in ast.walk(node):
            if isinstance(child, ast.Name) and isinstance(child.ctx, ast.Store):
                own.add(child.id)
        self._shadowed.append(own)
        self.generic_visit(node)
        self._shadowed.pop()

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_Call(self, node: ast.Call) -> None:
        """Checks calls."""
        name = self._full(node.func)
        if name is not None:
            if name.rsplit(".", 1)[-1] == "Server" and name.startswith(BASES):
                self._server(node)
            if rule := rules.of_call(name):
                self._add(node, f"{name}(…)", rule)
            if network.is_call(name):
                self._client(node, f"{name}(…)", None)
            self._environment_variable(node, name)
        if isinstance(node.func, ast.Attribute):
            for package, methods in rules.METHODS.items():
                if node.func.attr in methods and package in self._aliases:
                    self._add(node, f".{node.func.attr}(…)", methods[node.func.attr])
        if (found := files.opened(self.names, node)) and not self._is_hidden(node.func):
            if problem := files.problem(self.scan.project, self.path, *found):
                path, rule = problem
                self._add(node, f"the file {path!r}", rule)
        if any(keyword.arg in _TOLD for keyword in node.keywords):
            self.scan.network.sets_server = True
        self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        """Notes URLs."""
        self._url(node, False)

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        """Notes the URL that a text begins with."""
        for part in node.values:
            if isinstance(part, ast.Constant):
                self._url(part, True)
            else:
                self.visit(part)

    def visit_Subscript(self, node: ast.Subscript) -> None:
        """Checks the reading of environment variables."""
        if isinstance(node.ctx, ast.Load) and self._full(node.value) == "os.environ":
            self._add(node, f"os.environ[{ast.unparse(node.slice)}]", _VARIABLE)
        self.generic_visit(node)

    def _url(self, node: ast.Constant, is_part: bool) -> None:
        found = network.origin(node.value, is_part) if isinstance(node.value, str) else None
        if found is not None:
            self.scan.network.urls.append((self._place(node), found))

    def _client(self, node: ast.stmt | ast.expr, what: str, server: str | None) -> None:
        self.scan.network.clients.append((self._place(node), what, server, bool(self._guarded)))

    def _place(self, node: ast.stmt | ast.expr) -> network.Place:
        return network.Place(self.path, node.lineno, node.col_offset)

    def _environment_variable(self, node: ast.Call, name: str) -> None:
        if name in ("os.getenv", "os.environ.get") and len(node.args) < 2 and not node.keywords:
            argument = ast.unparse(node.args[0]) if node.args else ""
            self._add(node, f"{name}({argument})", _VARIABLE._replace(warning=True))

    def _import(self, node: ast.stmt, module: str, what: str) -> None:
        project = self.scan.project
        if project.is_local(module):
            self._local(module, 0)
            return
        if native := built.of_module(module):
            self.scan.native.add(native)
        is_client, server = network.client(module)
        if is_client:
            self._client(node, what, server)
        if project.network is not None and module in network.PRESENT:
            return
        rule = rules.of_import(module, _STANDARD)
        if rule is None and not self._is_known(module):
            rule = Rule(
                "not-required",
                f"{module.split('.')[0]} is not in the standard library, not beside this file, "
                "and in no list of requirements",
                f"add {rules.PROJECTS.get(module.split('.')[0], module.split('.')[0])} to requirements.txt",
            )
        if rule is None:
            return
        if self._guarded:
            rule = rule._replace(
                reason=f"{rule.reason}; the import is allowed to fail, so its alternative is used",
                warning=True,
            )
        self._add(node, what, rule)

    def _is_known(self, module: str) -> bool:
        first = module.split(".")[0]
        if first in _STANDARD or first in rules.PROVIDED or first == "__future__":
            return True
        # A project may have modules of any name, so with a list nothing is certain.
        return bool(self.scan.project.lists_requirements)

    def _local(self, module: str, level: int) -> None:
        for name in rules.prefixes(module) if module else [""]:
            path = self.scan.project.module(name, self.path, level)
            if path is not None:
                self.imported.append(path)

    def _full(self, node: ast.expr) -> str | None:
        if self._is_hidden(node):
            return None
        return self.names.full(node)

    def _is_hidden(self, node: ast.expr) -> bool:
        while isinstance(node, ast.Attribute):
            node = node.value
        return isinstance(node, ast.Name) and any(node.id in own for own in self._shadowed)

    def _is_main(self, test: ast.expr) -> bool:
        return (
            isinstance(test, ast.Compare)
            and isinstance(test.left, ast.Name)
            and test.left.id == "__name__"
        )

    def _served(self, node: ast.If) -> None:
        for child in ast.walk(node):
            if isinstance(child, ast.Call):
                name = self.names.full(child.func)
                if name and name.rsplit(".", 1)[-1] == "Server" and name.startswith(BASES):
                    self._server(child)

    def _server(self, node: ast.Call) -> None:
        for argument in node.args[:1]:
            if isinstance(argument, (ast.List, ast.Tuple)):
                for element in argument.elts:
                    if name := self.names.full(element):
                        self.scan.served.append(name.rsplit(".", 1)[-1])

    def _add(self, node: ast.stmt | ast.expr, what: str, rule: Rule) -> None:
        self.scan.add(self.path, node.lineno, node.col_offset, what, rule)


#: Arguments that name the server that a client asks.
_TOLD = {"base_url", "api_base_url"}

_VARIABLE = Rule(
    "environment-variable",
    "a session has no environment variables of the machine",
    "take keys from the secrets of the session, and settings from the task",
)
