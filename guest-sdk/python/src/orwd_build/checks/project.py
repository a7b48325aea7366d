"""The files of an environment: its entry, its modules, what it requires, its data."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

#: The entries of a folder, in the order in which they are looked for.
ENTRIES = ("env.py", "server.py", "main.py")

_NAME = re.compile(r"^\s*([A-Za-z0-9][A-Za-z0-9._-]*)")


class ProjectError(Exception):
    """There is nothing to check. Says what was expected."""


@dataclass(frozen=True)
class Requirement:
    """A line that asks for a package."""

    file: Path
    line: int
    text: str
    #: The name of the project; none if the line asks for something else.
    project: str | None


@dataclass
class Project:
    """An author's folder."""

    folder: Path
    entry: Path
    #: The data folder, if one is declared.
    data: Path | None = None
    #: The only class to serve, if one is named.
    cls: str | None = None
    requirements: list[Requirement] = field(default_factory=list)
    #: Whether a file lists requirements at all.
    lists_requirements: bool = False
    #: The rules of `[network]`; none without that table.
    network: list[str] | None = None

    def module(self, name: str, importer: Path, level: int) -> Path | None:
        """The author's file for an imported module."""
        start = self.folder
        if level:
            start = importer.parent
            for _ in range(level - 1):
                start = start.parent
        path = start.joinpath(*name.split(".")) if name else start
        for candidate in (path.with_suffix(".py"), path / "__init__.py"):
            if candidate.is_file():
                return candidate
        return None

    def is_local(self, name: str) -> bool:
        """Whether the first part of a dotted name is a file or folder of the author."""
        first = self.folder / name.split(".")[0]
        return first.with_suffix(".py").is_file() or first.is_dir()


def find(path: Path, data: Path | None) -> Project:
    """Finds the entry of an environment: a file, `FILE.py:CLASS`, or one in a folder."""
    cls = None
    if not path.exists():
        path, cls = _class(str(path))
    if path.is_dir():
        folder = path
        manifest = _toml(folder / "orwd.toml")
        build = manifest.get("build")
        named = build.get("python") if isinstance(build, dict) else None
        candidates = list(ENTRIES)
        if isinstance(named, str):
            module, cls = _class(named)
            candidates = [str(module)]
        for name in candidates:
            if (folder / name).is_file():
                entry = folder / name
                break
        else:
            raise ProjectError(f"{folder} has no Python environment; expected {', '.join(candidates)}")
    elif path.is_file():
        folder, entry = path.parent, path
        manifest = _toml(folder / "orwd.toml")
    else:
        raise ProjectError(f"{path}: no such file or folder")
    if data is None:
        named = manifest.get("data")
        data = folder / named if isinstance(named, str) else None
    project = Project(folder, entry, data, cls, network=_network(manifest))
    _requirements(project)
    return project


def _network(manifest: dict[str, Any]) -> list[str] | None:
    table = manifest.get("network")
    if not isinstance(table, dict):
        return None
    allow = table.get("allow")
    return [str(rule) for rule in allow] if isinstance(allow, list) else []


def _class(text: str) -> tuple[Path, str | None]:
    """Splits `FILE.py:CLASS`."""
    module, colon, cls = text.rpartition(":")
    if colon and module.endswith(".py") and cls.isidentifier():
        return Path(module), cls
    return Path(text), None


def _requirements(project: Project) -> None:
    listed = project.folder / "requirements.txt"
    if listed.is_file():
        project.lists_requirements = True
        _read_list(project, listed, 0)
        return
    metadata = project.folder / "pyproject.toml"
    if not metadata.is_file():
        return
    dependencies = _toml(metadata).get("project", {}).get("dependencies")
    if not isinstance(dependencies, list):
        return
    project.lists_requirements = True
    lines = _lines(metadata)
    for text in map(str, dependencies):
        line = next((number for number, found in enumerate(lines, 1) if text in found), 1)
        project.requirements.append(Requirement(metadata, line, text, _project(text)))


def _read_list(project: Project, path: Path, depth: int) -> None:
    for number, text in enumerate(_lines(path), 1):
        text = re.sub(r"(^|\s)#.*$", "", text).strip().rstrip("\\").strip()
        if not text or text.startswith("--hash"):
            continue
        included = re.match(r"^(?:-r|--requirement)[= ]?\s*(\S+)$", text)
        if included and depth < 4 and (path.parent / included[1]).is_file():
            _read_list(project, path.parent / included[1], depth + 1)
        else:
            project.requirements.append(Requirement(path, number, text, _project(text)))


def _project(text: str) -> str | None:
    if re.match(r"^(-|\.|/|[a-z+]+://|[a-z]+\+)", text) or " @ " in text:
        return None
    found = _NAME.match(text)
    return found[1] if found else None


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ProjectError(f"{path} cannot be read: {error}") from None


def _toml(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        import tomllib
    except ImportError:
        # Python before 3.11; pip has a copy.
        from pip._vendor import tomli as tomllib  # type: ignore[no-redef,import-untyped]
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ProjectError(f"{path}: {error}") from None
