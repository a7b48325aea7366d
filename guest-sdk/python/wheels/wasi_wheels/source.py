"""Fetches, verifies and unpacks the sources of a package."""

from __future__ import annotations

import hashlib
import shutil
import tarfile
import tempfile
from pathlib import Path

from .recipe import HERE, Recipe, RecipeError
from .tools import Job, Tools, note, output


def unpack(recipe: Recipe, tools: Tools, into: Path) -> Path:
    """Unpacks the sources into a folder, and returns their root."""
    if recipe.source.folder:
        root = into / recipe.title
        ignore = shutil.ignore_patterns("target")
        shutil.copytree(HERE / recipe.source.folder, root, ignore=ignore)
    else:
        archive = _fetch(recipe, tools)
        with tarfile.open(archive) as tar:
            tar.extractall(into, filter="data")
        roots = [path for path in into.iterdir() if path.is_dir()]
        if len(roots) != 1:
            raise RecipeError(f"{archive.name} holds {len(roots)} folders, expected one")
        root = roots[0]
    for name in recipe.remove:
        path = root / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
    return root


def copy(job: Job) -> None:
    """Copies the Python files that the recipe names. For a pure package that is all."""
    for origin, target in job.recipe.options.get("files", {}).items():
        path = job.site / target
        if (job.source / origin).is_dir():
            shutil.copytree(job.source / origin, path, dirs_exist_ok=True)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(job.source / origin, path)


def _fetch(recipe: Recipe, tools: Tools) -> Path:
    project, expected = recipe.source.project, recipe.source.sha256
    if not project or not expected:
        raise RecipeError(f"{recipe.path.name}: [source] needs `project` and `sha256`")
    kept = tools.folder / "sources" / expected
    for path in kept.glob("*"):
        if _sha256(path) == expected:
            return path
        path.unlink()
    note(f"downloading the sources of {project} {recipe.version}")
    kept.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=kept.parent) as folder:
        script = Path(__file__).parent / "programs/fetch.py"
        command = [tools.python(), "-I", script, project, recipe.version, folder]
        path = Path(output(command).splitlines()[-1])
        found = _sha256(path)
        if found != expected:
            raise RecipeError(
                f"the sources of {project} {recipe.version} have the digest {found}, "
                f"but {recipe.path.name} says {expected}"
            )
        return path.rename(kept / path.name)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
