"""Lays out the folders from which a component is built."""

import json
import shutil
import zlib
from pathlib import Path
from typing import Iterator, Optional

from orwd_build import author_files
from orwd_build.errors import BuildError

#: Bytes of an author's folder, without what is left out. Larger data belongs
#: into a data folder.
MAX_AUTHOR = 64 << 20

#: Bytes of the data that becomes part of a component.
MAX_BAKED = 128 << 20

#: Folders of an author that are no part of an environment.
LEFT_OUT = {"dist", "build", "target", "node_modules", "__pycache__", "venv"}

#: Parts of packages that no component needs.
UNUSED = {"tests", "test", "testing_data", "__pycache__", "f2py", "distutils"}

#: Headers, against which other packages are compiled.
HEADERS = "numpy/_core/include"


def author(folder: Path, data: Optional[Path], into: Path) -> None:
    """Copies the author's folder. The guest can write what it is built from, so
    nothing of the original is mounted."""
    size = 0
    into.mkdir(parents=True)
    for path in sorted(walk(folder, data)):
        size += path.lstat().st_size
        if size > MAX_AUTHOR:
            raise BuildError(
                f"{folder} has more than {MAX_AUTHOR >> 20} MiB; move data into a folder of its own "
                f"and name it with `data` in orwd.toml"
            )
        _copy(path, into / path.relative_to(folder), MAX_AUTHOR)


def _copy(path: Path, target: Path, limit: int) -> int:
    content = author_files.read(path, limit)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content)
    return len(content)


def walk(folder: Path, data: Optional[Path]) -> Iterator[Path]:
    """Returns the files of an author's folder that become part of a component."""
    for path in folder.iterdir():
        if path.name.startswith(".") or path.is_symlink() or path == data:
            continue
        if path.is_dir():
            if path.name not in LEFT_OUT and not (path / "pyvenv.cfg").exists():
                yield from walk(path, data)
        elif path.is_file() and path.suffix not in {".pyc", ".wasm"} and path.name != "transcript.jsonl":
            yield path


def bake(data: Path, members: list[str], into: Path) -> None:
    """Copies the data that the author's module reads while it is imported."""
    into.mkdir(parents=True)
    root = data.resolve()
    left = MAX_BAKED
    for member in members:
        source = (root / member).resolve()
        if source != root and root not in source.parents:
            raise BuildError(f"[build] bake: {member!r} is not in the data folder")
        if not source.exists():
            raise BuildError(f"[build] bake: there is no {member!r} in the data folder")
        target = into if source == root else into / member
        for path in sorted(_members(source)):
            left -= _copy(path, target / path.relative_to(source), left)


def _members(source: Path) -> Iterator[Path]:
    """Returns a file, or all files of a folder. Links are refused, since they may
    lead out of it."""
    if source.is_symlink() or not source.is_dir():
        yield source
        return
    for path in source.iterdir():
        yield from _members(path)


def archive(folders: dict[str, Path], sdk: Path) -> None:
    """Writes the sources and data files of some folders, compressed, by the paths
    under which they are mounted, and the paths of native modules."""
    index: dict[str, tuple[int, int]] = {}
    native: list[str] = []
    start = 0
    with (sdk / "archive.bin").open("wb") as blob:
        for mount, folder in sorted(folders.items()):
            for path in sorted(folder.rglob("*")):
                relative = path.relative_to(folder)
                if path.suffix == ".so":
                    native.append(f"{mount}/{relative.as_posix()}")
                if not path.is_file() or path.suffix in {".so", ".pyi", ".pyc", ".pyx", ".pxd"}:
                    continue
                if mount != "/1" and UNUSED & set(relative.parts[:-1]):
                    continue
                content = zlib.compress(path.read_bytes(), 9)
                blob.write(content)
                index[f"{mount}/{relative.as_posix()}"] = (start, len(content))
                start += len(content)
    (sdk / "archive.json").write_text(json.dumps(index), encoding="utf-8")
    (sdk / "native.json").write_text(json.dumps(native), encoding="utf-8")


def drop_unused(packages: Path) -> None:
    """Removes what no component needs from collected packages."""
    for path in sorted(packages.rglob("*"), reverse=True):
        if path.is_dir() and path.name in UNUSED:
            shutil.rmtree(path)
    shutil.rmtree(packages / HEADERS, ignore_errors=True)
