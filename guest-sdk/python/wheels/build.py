#!/usr/bin/env python3
"""Builds wheels of native packages for CPython 3.14 on WASI.

    build.py                  every recipe
    build.py NAME...          these, and what they need
    build.py --check NAME...  build from scratch, and compare with the committed digests

Prints the path of each wheel. A wheel in `dist` or in the cache is not built again.
With `--wheel-index` it is fetched, and must have the content that the digests name.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import hashlib
import shutil
import sys
import tempfile
import time
import urllib.request
import zipfile
from collections.abc import Iterator
from pathlib import Path

if sys.version_info < (3, 11):
    sys.exit("building wheels needs Python 3.11 or newer")

from wasi_wheels import cargo, meson, pack, setuptools, source
from wasi_wheels.recipe import HERE, Recipe, RecipeError, load, names
from wasi_wheels.tools import Job, Tools, cache_folder, note

ROUTES = {
    "cargo": cargo.build,
    "meson": meson.build,
    "pure": source.copy,
    "setuptools": setuptools.build,
}

#: The digests of what the recipes give, one wheel a line.
DIGESTS = HERE / "digests.txt"


def main() -> int:
    """Parses the command line and builds."""
    parser = argparse.ArgumentParser(
        description=(__doc__ or "").splitlines()[0],
        epilog=f"Recipes: {', '.join(names())}",
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="packages (default: all)")
    parser.add_argument("--cache", type=Path, help="folder of tools, sources and results")
    parser.add_argument(
        "--check",
        action="store_true",
        help="build from scratch and compare with digests.txt; exit code 1 on a difference",
    )
    parser.add_argument(
        "--record",
        action="store_true",
        help="build from scratch and write digests.txt",
    )
    parser.add_argument(
        "--wheel-index",
        metavar="URL",
        help="folder of wheels to fetch from, in place of building",
    )
    parser.add_argument("--keep", type=Path, help="copy the wheels into this folder")
    args = parser.parse_args()
    folder = (args.cache or cache_folder()).resolve()
    tools = Tools(folder)
    try:
        for recipe in in_order([load(name) for name in args.names or names()]):
            if args.check or args.record:
                needs = {name: get(load(name), tools, args.wheel_index) for name in recipe.needs}
                with only_one(folder):
                    wheel, digest = build(recipe, tools, folder / "checked", needs)
                    compare(recipe, wheel, digest, args.record)
                    wheel = keep(recipe, tools, wheel)
            else:
                wheel = get(recipe, tools, args.wheel_index)
            if args.keep:
                args.keep.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(wheel, args.keep / wheel.name)
            print(wheel, flush=True)
    except RecipeError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def in_order(recipes: list[Recipe]) -> list[Recipe]:
    """The recipes and those that they need, each after its needs."""
    ordered: dict[str, Recipe] = {}
    for recipe in recipes:
        for needed in in_order([load(name) for name in recipe.needs]):
            ordered.setdefault(needed.name, needed)
        ordered.setdefault(recipe.name, recipe)
    return list(ordered.values())


@contextlib.contextmanager
def only_one(folder: Path) -> Iterator[None]:
    """Waits until no other process builds wheels in a cache."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            note("waiting for another build of wheels")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def get(recipe: Recipe, tools: Tools, index: str | None = None) -> Path:
    """The wheel of a recipe: the committed one, one that is kept, or a new one."""
    expected = digests().get(recipe.title)
    committed = HERE / "dist" / recipe.wheel
    if committed.is_file():
        found = pack.record_digest(recipe, committed)
        if expected is None or found != expected[0]:
            raise RecipeError(f"{committed.name} is not the wheel that {DIGESTS.name} names")
        return committed
    kept = tools.folder / "built" / recipe.key()[:32] / recipe.wheel
    if kept.is_file():
        return kept
    needs = {name: get(load(name), tools, index) for name in recipe.needs}
    with only_one(tools.folder), tempfile.TemporaryDirectory(dir=tools.folder) as folder:
        # Another process may have built it meanwhile.
        if kept.is_file():
            return kept
        if index is not None:
            wheel, digest = fetch(recipe, index, Path(folder))
        else:
            wheel, digest = build(recipe, tools, Path(folder), needs)
        if expected is not None and digest != expected[0]:
            text = f"{recipe.wheel} has the digest {digest}, but {DIGESTS.name} says {expected[0]}"
            if index is not None:
                raise RecipeError(f"{text} ({index})")
            # Its sources and tools are the pinned ones, so it can be used here.
            note(f"{text}: the build is not reproducible on this machine")
        return keep(recipe, tools, wheel)


def keep(recipe: Recipe, tools: Tools, wheel: Path) -> Path:
    """Puts a wheel into the cache."""
    folder = tools.folder / "built" / recipe.key()[:32]
    folder.mkdir(parents=True, exist_ok=True)
    return wheel.rename(folder / wheel.name)


def fetch(recipe: Recipe, index: str, folder: Path) -> tuple[Path, str]:
    """Fetches the wheel of a recipe. Its digest decides whether it is the right one."""
    if recipe.title not in digests():
        raise RecipeError(f"{DIGESTS.name} has no line for {recipe.title}, so it cannot be fetched")
    # "+" in a version has to be escaped in URLs of some servers, and may be in all.
    url = f"{index.rstrip('/')}/{recipe.wheel.replace('+', '%2B')}"
    note(f"fetching {url}")
    wheel = folder / recipe.wheel
    try:
        with urllib.request.urlopen(url, timeout=60) as response, wheel.open("wb") as file:
            shutil.copyfileobj(response, file)
        return wheel, pack.record_digest(recipe, wheel)
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise RecipeError(f"cannot fetch {url}: {error}") from None


def build(
    recipe: Recipe, tools: Tools, folder: Path, needs: dict[str, Path]
) -> tuple[Path, str]:
    """Builds the wheel of a recipe from its sources and the wheels that it needs."""
    route = ROUTES.get(recipe.route)
    if route is None:
        raise RecipeError(f"{recipe.path.name}: unknown route {recipe.route!r}")
    minutes = f"{recipe.minutes} minute{'s' if recipe.minutes > 1 else ''}"
    note(f"building {recipe.name} {recipe.version} for WASI: about {minutes}, once")
    started = time.monotonic()
    tools.folder.mkdir(parents=True, exist_ok=True)
    logs = tools.folder / "logs"
    logs.mkdir(exist_ok=True)
    log = logs / f"{recipe.title}.log"
    log.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(prefix=f"{recipe.name}-", dir=tools.folder) as work:
        root = source.unpack(recipe, tools, Path(work))
        site = Path(work) / "site"
        site.mkdir()
        route(Job(recipe, tools, root, site, log, needs))
        for name, text in recipe.options.get("text", {}).items():
            (site / name).write_text(text.lstrip("\n"))
        pack.write_metadata(recipe, root, site)
        wheel, digest = pack.pack(recipe, site, folder)
    seconds = time.monotonic() - started
    note(f"{recipe.name}: {wheel.stat().st_size / 1e6:.1f} MB in {seconds:.0f} s")
    return wheel, digest


def digests() -> dict[str, tuple[str, str]]:
    """The committed digests: of the content, and of the file."""
    found = {}
    for line in DIGESTS.read_text().splitlines():
        if line and not line.startswith("#"):
            title, content, file = line.split()
            found[title] = (content, file)
    return found


def compare(recipe: Recipe, wheel: Path, digest: str, write: bool) -> None:
    """Compares a wheel with its committed digests, or writes them."""
    known = digests()
    file = hashlib.sha256(wheel.read_bytes()).hexdigest()
    if write:
        known[recipe.title] = (digest, file)
        lines = [f"{title} {' '.join(pair)}\n" for title, pair in sorted(known.items())]
        head = "# wheel, SHA-256 of its RECORD, SHA-256 of the file\n"
        DIGESTS.write_text(head + "".join(lines))
        note(f"{recipe.name}: digest written")
        return
    expected = known.get(recipe.title)
    if expected is None:
        raise RecipeError(f"{DIGESTS.name} has no line for {recipe.title}")
    if digest != expected[0]:
        raise RecipeError(
            f"{recipe.title} has the digest {digest}, but {DIGESTS.name} says {expected[0]}"
        )
    same = "the same file" if file == expected[1] else "the same content, compressed otherwise"
    note(f"{recipe.name}: reproduced, {same}")


if __name__ == "__main__":
    sys.exit(main())
