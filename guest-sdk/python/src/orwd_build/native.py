"""Wheels of packages with native code, of those for which orwd has recipes.

pip decides which of them an environment needs: it sees a placeholder for each, with
its version and its requirements. The wheels of those that it chooses then take the
places of the placeholders. What is chosen depends on the requirements alone, and not
on what a cache has.
"""

import os
import shutil
import subprocess
import sys
import zipfile
from collections import deque
from pathlib import Path
from typing import Callable, NamedTuple, Optional

from orwd_build import requirements, toml_files
from orwd_build.errors import BuildError
from orwd_build.requirements import normal

Progress = Callable[[str], None]

_PLACEHOLDER = "orwd-placeholder"
_TAG = "cp314-cp314-wasi_wasm32"

#: Interpreters that can build wheels, if the one of the builder is older.
_INTERPRETERS = ("python3.14", "python3.13", "python3.12", "python3.11", "python3")
_OLDEST = (3, 11)


class Recipe(NamedTuple):
    """What a wheel is before it is built."""

    name: str
    version: str
    requires: list[str]


class Recipes:
    """The recipes, and where their wheels come from."""

    def __init__(self, folder: Path, cache: Path, index: Optional[str], progress: Progress) -> None:
        self._folder = folder
        self._cache = cache
        self._index = index
        self._progress = progress
        self._recipes: dict[str, Recipe] = {}
        for path in sorted((folder / "recipes").glob("*.toml")):
            data = toml_files.parse(path.read_text(encoding="utf-8"), path.name)
            recipe = Recipe(data["name"], data["version"], data.get("requires", []))
            self._recipes[normal(recipe.name)] = recipe

    def needed(self, names: set[str]) -> set[str]:
        """The packages with a recipe among these, and those that they require."""
        found: set[str] = set()
        waiting = deque(names)
        while waiting:
            name = waiting.popleft()
            recipe = self._recipes.get(name)
            if recipe is not None and name not in found:
                found.add(name)
                waiting += [requirements.name_of(line) for line in recipe.requires]
        return found

    def names(self) -> set[str]:
        """The packages with a recipe."""
        return set(self._recipes)

    def offer(self, names: set[str], into: Path) -> None:
        """Writes placeholders of packages into a folder in which pip looks."""
        into.mkdir(parents=True, exist_ok=True)
        for name in names:
            _write_placeholder(self._recipes[name], into)

    def put(self, packages: Path) -> list[str]:
        """Puts the wheels into the places of the placeholders that pip has chosen.
        Returns their names."""
        chosen = []
        for mark in sorted(packages.glob(f"*.dist-info/{_PLACEHOLDER}")):
            name = mark.read_text(encoding="utf-8")
            shutil.rmtree(mark.parent)
            unpack(self._wheel(name), packages)
            chosen.append(name)
        return chosen

    def _wheel(self, name: str) -> Path:
        """Builds or fetches a wheel, unless the cache has it."""
        command = [_interpreter(), "-B", str(self._folder / "build.py"), "--cache", str(self._cache)]
        command += ["--wheel-index", self._index] if self._index else []
        environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        said: list[str] = []
        with subprocess.Popen(
            [*command, name],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
        ) as process:
            for line in process.stderr or ():
                said.append(line.rstrip())
                if not line.startswith(("error: ", "  ")):
                    self._progress(line.rstrip())
            printed = process.stdout.read().split("\n") if process.stdout else []
        if process.returncode != 0 or len(printed) < 2:
            reason = "\n".join(said[_start_of_error(said) :]).removeprefix("error: ")
            advice = "" if self._index else "\nWheels that others have built can be fetched with --wheel-index URL"
            raise BuildError(f"there is no wheel of {name} for WASI yet, and it could not be built: {reason}{advice}")
        return Path(printed[-2])


def _start_of_error(lines: list[str]) -> int:
    return next((i for i, line in enumerate(lines) if line.startswith("error: ")), max(len(lines) - 5, 0))


def _interpreter() -> str:
    if sys.version_info >= _OLDEST:
        return sys.executable
    for name in _INTERPRETERS:
        path = shutil.which(name)
        check = f"import sys; sys.exit(sys.version_info < {_OLDEST})"
        if path and subprocess.run([path, "-c", check], check=False).returncode == 0:
            return path
    return sys.executable


def _write_placeholder(recipe: Recipe, into: Path) -> None:
    info = f"{recipe.name}-{recipe.version}.dist-info"
    requires = "".join(f"Requires-Dist: {line}\n" for line in recipe.requires)
    files = {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {recipe.name}\nVersion: {recipe.version}\n{requires}",
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nGenerator: orwd\nRoot-Is-Purelib: false\nTag: {_TAG}\n",
        f"{info}/{_PLACEHOLDER}": recipe.name,
    }
    with zipfile.ZipFile(into / f"{recipe.name}-{recipe.version}-{_TAG}.whl", "w") as wheel:
        for path, content in files.items():
            wheel.writestr(path, content)
        wheel.writestr(f"{info}/RECORD", "".join(f"{path},,\n" for path in [*files, f"{info}/RECORD"]))


def unpack(wheel: Path, into: Path) -> None:
    """Unpacks a wheel of ours."""
    with zipfile.ZipFile(wheel) as archive:
        for member in archive.namelist():
            target = os.path.normpath(member)
            if target.startswith("..") or os.path.isabs(target):
                raise BuildError(f"{wheel.name} has a member outside of its folder")
        archive.extractall(into)
