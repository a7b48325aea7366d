"""Collects packages for a component: wheels without native code, and wheels for
WASI. Nothing of a source distribution runs."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

from orwd_build import absent
from orwd_build.errors import BuildError
from orwd_build.native import Progress, Recipes, unpack
from orwd_build.requirements import name_of, normal

#: The interpreter inside of a component.
TARGET = [
    "--only-binary=:all:",
    "--platform=wasi_wasm32",
    "--python-version=3.14",
    "--implementation=cp",
    "--abi=cp314",
    "--abi=none",
]

#: Packages that may be absent in one environment.
MAX_ABSENT = 20


def base(into: Path, packages: Path, wheels: list[Path], progress: Progress) -> None:
    """Collects what every environment is built with."""
    progress("fetching pydantic")
    pip(["--require-hashes", "--no-deps", "-r", str(packages)], into)
    wheel = find("pydantic_core", wheels)
    if wheel is None:
        raise BuildError("this orwd has no wheel of pydantic_core for WASI; it was built without one")
    unpack(wheel, into)


def others(
    lines: list[str],
    constraints: list[str],
    wheels: list[Path],
    recipes: Recipes,
    into: Path,
    progress: Progress,
) -> list[str]:
    """Collects the requirements of an environment. Returns the packages that are
    absent: others require them, and they have native code and no wheel for WASI."""
    progress(f"fetching {', '.join(lines)}")
    wishes = into.parent / "requirements.txt"
    wishes.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    fixed = into.parent / "constraints.txt"
    fixed.write_text("".join(f"{line}\n" for line in constraints), encoding="utf-8")
    stand_ins = into.parent / "absent"
    links = [option for folder in [*wheels, stand_ins] for option in ("--find-links", str(folder))]
    stand_ins.mkdir()
    missing: list[str] = []
    direct = {name_of(line) for line in lines}
    used = direct | recipes.needed(direct)
    rarely_used = {name for name in absent.FREQUENT if name not in used and find(name, wheels) is None}
    for name in rarely_used:
        absent.write(f"{name}=={absent.FREQUENT[name]}", stand_ins)
    there = {name for name in recipes.names() if find(name, wheels) is not None}
    recipes.offer(recipes.names() - rarely_used - there, stand_ins)
    while True:
        try:
            pip([*links, "-c", str(fixed), "-r", str(wishes)], into)
            break
        except MissingPackage as error:
            name = name_of(error.requirement)
            if name in direct or name in missing or len(missing) >= MAX_ABSENT:
                raise
            missing.append(normal(absent.write(error.requirement, stand_ins)))
    recipes.put(into)
    return sorted({*missing, *(name for name in rarely_used if absent.is_in(name, into))})


def pip(arguments: list[str], into: Path) -> None:
    """Runs pip for the target. Its settings decide which index it asks."""
    command = [sys.executable, "-m", "pip", "install", "--no-compile", "--progress-bar=off", "--disable-pip-version-check"]
    command += ["--no-input", "--no-warn-conflicts", "--target", str(into), "--upgrade", *TARGET, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise failure(done.stdout + done.stderr)


class MissingPackage(BuildError):
    """No wheel of a package fits the interpreter of a component."""

    def __init__(self, requirement: str) -> None:
        self.requirement = requirement
        name = re.split(r"[<>=!~;\[( ]", requirement)[0]
        super().__init__(
            f"{name} cannot be used in an environment: it has native code and no wheel for WASI, or it does "
            f"not exist. Remove it from the requirements and use a package in pure Python in its place"
        )


def failure(errors: str) -> BuildError:
    """Says what pip's complaint means for an environment."""
    missing = re.search(r"No matching distribution found for ([^\n]+)", errors)
    if missing:
        requirement = missing.group(1).split(" (from ")[0].strip()
        versions = re.search(r"\(from versions: ([^)]*)\)", errors)
        if versions and versions.group(1) != "none":
            name = re.split(r"[<>=!~;\[( ]", requirement)[0]
            return BuildError(f"no version of {name} fits {requirement!r}; there are {versions.group(1)}")
        return MissingPackage(requirement)
    # pip has tried each version of a package whose requirement has no wheel.
    required = re.findall(r"^ +\S+ \S+ depends on (\S+)$", errors, re.MULTILINE)
    if len({normal(re.split(r"[<>=!~;\[( ]", requirement)[0]) for requirement in required}) == 1:
        # Those of the newest version come first.
        return MissingPackage(required[0])
    lines = [line for line in errors.splitlines() if line.startswith("ERROR")] or errors.splitlines()[-5:]
    return BuildError("pip cannot fetch the requirements: " + "\n".join(lines))


def find(name: str, wheels: list[Path]) -> "Path | None":
    """Returns the wheel of a package."""
    for folder in wheels:
        for wheel in sorted(folder.glob("*.whl"), reverse=True):
            if normal(wheel.name.split("-")[0]) == normal(name):
                return wheel
    return None


def copy(source: Path, into: Path) -> None:
    """Copies collected packages."""
    shutil.copytree(source, into, dirs_exist_ok=True)
