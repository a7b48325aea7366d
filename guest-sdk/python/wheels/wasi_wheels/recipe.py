"""What a recipe says, and which of its inputs decide the result."""

from __future__ import annotations

import hashlib
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent.parent
RECIPES = HERE / "recipes"
SUPPORT = HERE / "support"

#: The interpreter that the wheels are for: the one in componentize-py.
PYTHON_TAG = "cp314-cp314-wasi_wasm32"
EXTENSION_SUFFIX = ".cpython-314-wasm32-wasi.so"


class RecipeError(Exception):
    """A recipe cannot be read, or a build step failed. The text says what to do."""


@dataclass(frozen=True)
class Source:
    """Where the sources come from: the package index, or a folder beside the recipe."""

    project: str | None
    sha256: str | None
    folder: str | None


@dataclass(frozen=True)
class Recipe:
    """How one package is built."""

    name: str
    version: str
    licence: str
    route: str
    source: Source
    needs: tuple[str, ...]
    #: What the wheel requires, as its metadata says.
    requires: tuple[str, ...]
    #: How long the build takes on two cores, roughly.
    minutes: int
    remove: tuple[str, ...]
    options: dict[str, Any] = field(hash=False)
    path: Path = field(hash=False)

    @property
    def title(self) -> str:
        """Name and version, as in a file name."""
        return f"{self.name}-{self.version}"

    @property
    def wheel(self) -> str:
        """The file name of the wheel."""
        return f"{self.title}-{PYTHON_TAG}.whl"

    @property
    def dist_info(self) -> str:
        """The metadata folder inside the wheel."""
        return f"{self.title}.dist-info"

    def key(self) -> str:
        """A digest of everything of this project that the wheel depends on."""
        digest = hashlib.sha256()
        files = [self.path, HERE / "tools.toml"]
        files += sorted((HERE / "wasi_wheels").rglob("*.py"))
        files += sorted(path for path in SUPPORT.rglob("*") if path.is_file())
        if self.source.folder:
            folder = HERE / self.source.folder
            files += sorted(
                path
                for path in folder.rglob("*")
                if path.is_file() and "target" not in path.relative_to(folder).parts
            )
        for path in files:
            content = path.read_bytes()
            digest.update(f"{path.relative_to(HERE)} {len(content)}\n".encode())
            digest.update(content)
        for name in self.needs:
            digest.update(load(name).key().encode())
        return digest.hexdigest()


def names() -> list[str]:
    """The names of all recipes."""
    return sorted(path.stem for path in RECIPES.glob("*.toml"))


def canonical(name: str) -> str:
    """The name of the recipe for a project name of the package index."""
    folded = name.lower().replace("-", "_").replace(".", "_")
    return {"pyyaml": "PyYAML"}.get(folded, folded)


def load(name: str) -> Recipe:
    """Reads the recipe of a package."""
    path = RECIPES / f"{canonical(name)}.toml"
    if not path.is_file():
        raise RecipeError(f"no recipe for {name!r}; there are recipes for {', '.join(names())}")
    with path.open("rb") as file:
        data = tomllib.load(file)
    known = {"name", "version", "licence", "route", "source", "needs", "requires", "minutes"}
    known |= {"remove", "options"}
    unknown = sorted(set(data) - known)
    if unknown:
        raise RecipeError(f"unknown key {unknown[0]!r} in {path.name}")
    try:
        source = data["source"]
        return Recipe(
            name=data["name"],
            version=data["version"],
            licence=data["licence"],
            route=data["route"],
            source=Source(source.get("project"), source.get("sha256"), source.get("folder")),
            needs=tuple(data.get("needs", ())),
            requires=tuple(data.get("requires", ())),
            minutes=data["minutes"],
            remove=tuple(data.get("remove", ())),
            options=data.get("options", {}),
            path=path,
        )
    except KeyError as error:
        raise RecipeError(f"{path.name} lacks the key {error.args[0]!r}") from None
