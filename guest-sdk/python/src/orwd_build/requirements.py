"""What an environment requires, from the files of its folder.

Its author may be a stranger, and pip obeys what it is given: an address in place of
a version is fetched, and the code there runs. So what is read here is parsed, and
only what was understood is passed on, in a form of our own.
"""

import re
from pathlib import Path
from typing import Any, NamedTuple

# pip has a copy of these packages, and the builder has pip.
from pip._vendor.packaging.requirements import InvalidRequirement, Requirement
from pip._vendor.packaging.version import InvalidVersion, Version

from orwd_build import author_files, toml_files
from orwd_build.errors import BuildError

#: Packages that this one replaces inside of a component.
REPLACED = {"openreward", "ors", "ors-sdk", "pydantic", "pydantic-core"}

#: Packages of a server, which orwd is.
SERVER = {
    "fastapi", "starlette", "sse-starlette", "uvicorn", "h11", "httptools", "uvloop", "websockets",
    "watchfiles", "gunicorn", "hypercorn", "structlog", "python-multipart",
}  # fmt: skip

#: Bytes of each file.
MAX_FILE = 1 << 20

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")

#: Characters that mean something to pip beside the requirement: lines, variables,
#: addresses.
_REFUSED = re.compile(r"[\x00-\x1f\x7f$@\\]")


class Requirements(NamedTuple):
    """What to vendor, and what of the files has no effect."""

    lines: list[str]
    constraints: list[str]
    left_out: list[str]


def normal(name: str) -> str:
    """Returns the normal form of a package's name."""
    return re.sub(r"[-_.]+", "-", name).lower()


def name_of(line: str) -> str:
    """Returns the normal form of the name in a requirement."""
    return normal(re.split(r"[<>=!~;\[( ]", line)[0])


def read(folder: Path) -> Requirements:
    """Reads `requirements.txt`, or else the dependencies in `pyproject.toml`; a
    `uv.lock` beside it fixes their versions."""
    requirements = folder / "requirements.txt"
    project = folder / "pyproject.toml"
    if requirements.is_file():
        written = _file(requirements, 0)
    elif project.is_file():
        written = [str(line) for line in _toml(project).get("project", {}).get("dependencies", [])]
    else:
        written = []
    lines, left_out = [], []
    for line in written:
        requirement = _parsed(line)
        if normal(requirement.name) in REPLACED | SERVER:
            left_out.append(str(requirement))
        else:
            lines.append(str(requirement))
    return Requirements(lines, _locked(folder / "uv.lock"), left_out)


def _parsed(line: str) -> Requirement:
    try:
        if not _REFUSED.search(line):
            requirement = Requirement(line)
            if requirement.url is None and _NAME.fullmatch(requirement.name):
                return requirement
    except InvalidRequirement:
        pass
    raise BuildError(
        f"the requirement {line!r} is not the name of a package; expected lines such as `numpy>=2`. "
        f"Nothing is installed from folders, repositories or addresses"
    )


def _file(path: Path, depth: int) -> list[str]:
    lines = []
    text = author_files.text(path, MAX_FILE).replace("\\\n", " ")
    for line in text.splitlines():
        line = re.sub(r"(^|\s)#.*$", "", line).strip()
        line = re.sub(r"\s--hash[= ]\S+", "", line).strip()
        if not line:
            continue
        included = re.match(r"^(?:-r|--requirement)[= ]?\s*(\S+)$", line)
        if included:
            below = (path.parent / included.group(1)).resolve()
            if depth > 4 or path.parent.resolve() not in below.parents or not below.is_file():
                raise BuildError(f"{path.name}: {line!r} is no file of this folder")
            lines += _file(below, depth + 1)
        elif line.startswith("-"):
            raise BuildError(
                f"{path.name}: the option {line!r} is not supported; set indexes in the configuration of pip"
            )
        else:
            lines.append(line)
    return lines


def _locked(path: Path) -> list[str]:
    if not path.is_file():
        return []
    packages = _toml(path).get("package", [])
    registry = [p for p in packages if "registry" in p.get("source", {}) and "version" in p]
    wanted = [p for p in registry if normal(str(p["name"])) not in REPLACED | SERVER]
    return [_fixed(path, str(p["name"]), str(p["version"])) for p in wanted]


def _fixed(path: Path, name: str, version: str) -> str:
    try:
        if _NAME.fullmatch(name):
            return f"{name}=={Version(version)}"
    except InvalidVersion:
        pass
    raise BuildError(f"{path.name}: {name!r} in version {version!r} is not a package with a version")


def _toml(path: Path) -> dict[str, Any]:
    return toml_files.parse(author_files.text(path, MAX_FILE * 16), path.name)
