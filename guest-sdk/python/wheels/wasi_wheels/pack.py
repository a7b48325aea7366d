"""Writes a wheel whose bytes depend on nothing but its content."""

from __future__ import annotations

import base64
import hashlib
import shutil
import zipfile
from pathlib import Path

from .recipe import PYTHON_TAG, Recipe, RecipeError

#: Folders and files that no guest needs; every file costs size in a component.
LEFT_OUT_FOLDERS = {"tests", "test", "__pycache__"}
LEFT_OUT_SUFFIXES = {".pyi", ".pyc", ".pyx", ".pxd", ".pxi", ".h", ".c", ".a", ".toml", ".in"}

#: The earliest time that a zip archive can name.
EPOCH = (1980, 1, 1, 0, 0, 0)


def write_metadata(recipe: Recipe, source: Path, site: Path) -> None:
    """Writes the metadata folder, from the PKG-INFO and the licences of the sources."""
    info = site / recipe.dist_info
    info.mkdir(exist_ok=True)
    metadata = source / "PKG-INFO"
    if metadata.is_file():
        shutil.copyfile(metadata, info / "METADATA")
        lacking = set(_requires(metadata.read_text(errors="replace"))) - set(recipe.requires)
        if lacking:
            raise RecipeError(f"{recipe.path.name}: `requires` lacks {sorted(lacking)}")
    else:
        requires = "".join(f"Requires-Dist: {line}\n" for line in recipe.requires)
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {recipe.name}\nVersion: {recipe.version}\n"
            f"License: {recipe.licence}\n{requires}"
        )
    licences = [
        path
        for path in sorted(source.iterdir())
        if path.is_file() and path.name.upper().startswith(("LICEN", "COPYING", "NOTICE"))
    ]
    if recipe.source.project and not licences:
        raise RecipeError(f"the sources of {recipe.name} have no licence file")
    for path in licences:
        (info / "licenses").mkdir(exist_ok=True)
        shutil.copyfile(path, info / "licenses" / path.name)
    (info / "WHEEL").write_text(
        "Wheel-Version: 1.0\nGenerator: orwd-wheels\nRoot-Is-Purelib: false\n"
        f"Tag: {PYTHON_TAG}\n"
    )


def pack(recipe: Recipe, site: Path, folder: Path) -> tuple[Path, str]:
    """Packs a site folder as a wheel. Returns its path and the digest of its RECORD.

    RECORD holds the digest of every file, so its digest names the content. The bytes
    of the archive also depend on the version of zlib.
    """
    record = f"{recipe.dist_info}/RECORD"
    files = {}
    for path in sorted(site.rglob("*")):
        relative = path.relative_to(site)
        if path.is_dir() or relative.as_posix() == record:
            continue
        if relative.parts[0] != recipe.dist_info and _left_out(relative):
            continue
        files[relative.as_posix()] = path.read_bytes()
    lines = []
    for name, content in sorted(files.items()):
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=")
        lines.append(f"{name},sha256={digest.decode()},{len(content)}\n")
    files[record] = ("".join(lines) + f"{record},,\n").encode()
    folder.mkdir(parents=True, exist_ok=True)
    wheel = folder / recipe.wheel
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, content in sorted(files.items()):
            entry = zipfile.ZipInfo(name, EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 3
            entry.external_attr = 0o100644 << 16
            archive.writestr(entry, content, compresslevel=9)
    return wheel, hashlib.sha256(files[record]).hexdigest()


def record_digest(recipe: Recipe, wheel: Path) -> str:
    """The digest of the content of a wheel, whose files are those that RECORD names."""
    with zipfile.ZipFile(wheel) as archive:
        content = archive.read(f"{recipe.dist_info}/RECORD")
        lines = [line.rsplit(",", 2) for line in content.decode().splitlines()]
        if sorted(archive.namelist()) != sorted(name for name, _, _ in lines):
            raise RecipeError(f"{wheel.name}: it has other files than RECORD names")
        for name, digest, _ in lines:
            if digest:
                found = hashlib.sha256(archive.read(name)).digest()
                encoded = base64.urlsafe_b64encode(found).rstrip(b"=").decode()
                if digest != f"sha256={encoded}":
                    raise RecipeError(f"{wheel.name}: {name} is not what RECORD says")
    return hashlib.sha256(content).hexdigest()


def _requires(metadata: str) -> list[str]:
    """What a package requires on WASI, without its extras."""
    head = metadata.split("\n\n", 1)[0]
    fields = [line.partition(":") for line in head.splitlines()]
    lines = [value.strip() for name, _, value in fields if name == "Requires-Dist"]
    return [line for line in lines if "extra ==" not in line and "sys_platform" not in line]


def _left_out(path: Path) -> bool:
    if "include" in path.parts:
        # Other packages are compiled against these headers.
        return path.suffix not in (".h", ".inc")
    return (
        bool(LEFT_OUT_FOLDERS.intersection(path.parts[:-1]))
        or path.suffix in LEFT_OUT_SUFFIXES
        or path.name == "conftest.py"
    )
