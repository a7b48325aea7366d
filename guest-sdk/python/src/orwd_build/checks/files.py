"""Which files an environment can open in a session."""

from __future__ import annotations

import ast
import posixpath
from pathlib import Path

from orwd_build.checks.names import HERE, Names
from orwd_build.checks.project import Project
from orwd_build.checks.rules import Rule

#: Functions that open the file of their first argument, by full name.
READERS = frozenset(
    "open io.open pandas.read_csv pandas.read_json pandas.read_parquet pandas.read_excel "
    "pandas.read_table pandas.read_pickle numpy.load numpy.loadtxt numpy.genfromtxt numpy.fromfile "
    "pyarrow.parquet.read_table pyarrow.parquet.ParquetFile gzip.open zipfile.ZipFile "
    "sqlite3.connect os.listdir os.scandir".split()
)

#: Methods of paths that open the file.
READER_METHODS = frozenset("open read_text read_bytes iterdir glob rglob".split())
WRITER_METHODS = frozenset("write_text write_bytes mkdir touch unlink".split())

DATA = "/orwd_data"
#: What a session sees, besides the files beside its sources.
VISIBLE = (DATA, "/tmp", "/dev/null", "/dev/urandom")


def opened(names: Names, node: ast.Call) -> tuple[set[str], bool] | None:
    """The paths that a call opens, if they are known, and whether it writes."""
    name = names.full(node.func)
    if name in READERS and node.args:
        paths = names.paths(node.args[0])
        mode = _mode(node, 1) if name in ("open", "io.open") else "r"
        return (paths, bool(set("wax+") & set(mode))) if paths else None
    if isinstance(node.func, ast.Attribute):
        method = node.func.attr
        if method in READER_METHODS | WRITER_METHODS:
            paths = names.paths(node.func.value)
            writes = method in WRITER_METHODS or (
                method == "open" and bool(set("wax+") & set(_mode(node, 0)))
            )
            return (paths, writes) if paths else None
    return None


def problem(project: Project, source: Path, paths: set[str], writes: bool) -> tuple[str, Rule] | None:
    """Why none of these paths can be opened, with the first of them."""
    found = [(path, _problem(project, source, path, writes)) for path in sorted(paths)]
    if any(rule is None for _, rule in found):
        return None
    path, rule = found[0]
    return (path.replace(f"{HERE}/", ""), rule) if rule else None


def _problem(project: Project, source: Path, path: str, writes: bool) -> Rule | None:
    if path.startswith(("http://", "https://", "s3://", "gs://", "hf://")):
        return Rule(
            "network",
            "it is read over the network, which a session does not have",
            "download the file, and put it into the data folder",
        )
    path = posixpath.normpath(path)
    if path == DATA or path.startswith(f"{DATA}/"):
        return None if writes else _data(project, path)
    if path.startswith("/"):
        if path.startswith(VISIBLE):
            return None
        return Rule(
            "file-outside",
            f"a session sees {DATA}, /tmp and the files beside its sources, and nothing else of a machine",
            f"put it into the data folder, and open it below {DATA}",
        )
    if path.startswith("~"):
        return Rule(
            "file-outside",
            "a session has no home folder",
            f"put it into the data folder, and open it below {DATA}",
        )
    if writes:
        return Rule("file-write", "files beside the sources cannot be written", "write below /tmp")
    beside = path.removeprefix(f"{HERE}/")
    folder = source.parent if path.startswith(HERE) else project.folder
    if beside == HERE or (folder / beside).exists():
        return None
    return Rule(
        "file-missing",
        f"there is no such file in {folder.name or 'this folder'}",
        f"add the file, or put it into the data folder and open it below {DATA}",
    )


def _data(project: Project, path: str) -> Rule | None:
    if project.data is None:
        return Rule(
            "no-data-folder",
            f"no data folder is declared, so {DATA} does not exist unless the server is started with --data",
            "name the folder with `data` in orwd.toml",
            warning=True,
        )
    relative = path.removeprefix(DATA).lstrip("/")
    if (project.data / relative).exists():
        return None
    return Rule(
        "file-missing",
        f"the data folder has no {relative!r}",
        "add the file to the data folder",
    )


def _mode(node: ast.Call, position: int) -> str:
    values = [keyword.value for keyword in node.keywords if keyword.arg == "mode"]
    if len(node.args) > position:
        values.append(node.args[position])
    for value in values:
        if isinstance(value, ast.Constant) and isinstance(value.value, str):
            return value.value
    return "r"
