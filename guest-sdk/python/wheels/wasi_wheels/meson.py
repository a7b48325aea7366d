"""Builds numpy and pandas, whose build system is meson, for WASI."""

from __future__ import annotations

import os
import shutil
import zipfile
from pathlib import Path

from . import zig
from .recipe import RecipeError
from .tools import Job

CROSS = """[binaries]
c = '{cc}'
cpp = '{cxx}'
ar = '{ar}'
python = '{python}'
cython = '{cython}'
[properties]
needs_exe_wrapper = true
skip_sanity_check = true
longdouble_format = 'IEEE_QUAD_LE'
[host_machine]
system = 'wasi'
cpu_family = 'wasm32'
cpu = 'wasm32'
endian = 'little'
"""


def build(job: Job) -> None:
    """Configures, compiles and installs into the site folder."""
    options, source, name = job.recipe.options, job.source, job.recipe.name
    wrappers = zig.wrappers(job, source / ".cc")
    interpreter = job.tools.python("build")
    for needed, wheel in job.needs.items():
        _headers(needed, wheel, source / ".needs", wrappers.sysconfig)
    cross = source / ".cc/cross.ini"
    cross.write_text(
        CROSS.format(
            cc=wrappers.cc,
            cxx=wrappers.cxx,
            ar=wrappers.ar,
            python=zig.program(source / ".cc/python3", [interpreter], wrappers.python_env()),
            cython=job.tools.program("cython", "build"),
        )
    )
    meson: list[str | Path] = [job.tools.program("meson", "build")]
    if vendored := options.get("meson"):
        meson = [interpreter, source / vendored]
    env = {"PATH": f"{interpreter.parent}{os.pathsep}{os.environ.get('PATH', '')}"}
    settings = [f"-D{key}={value}" for key, value in options.get("set", {}).items()]
    built, installed = source / ".build", source / ".installed"
    job.note("configuring")
    command = [*meson, "setup", built, "--cross-file", cross, "--prefix", "/wheel"]
    job.run([*command, "--buildtype=release", *settings], env)
    job.note("compiling")
    job.run([job.tools.program("ninja", "build"), "-C", built, f"-j{os.cpu_count() or 1}"], env)
    command = [*meson, "install", "-C", built, "--no-rebuild", "--destdir", installed]
    job.run([*command, "--tags", options.get("tags", "runtime,python-runtime")], env)
    packages = list(installed.glob("wheel/**/site-packages"))
    if len(packages) != 1:
        raise RecipeError(f"{name}: nothing was installed; see {job.log}")
    shutil.copytree(packages[0], job.site, dirs_exist_ok=True)
    for folder in options.get("drop", []):
        shutil.rmtree(job.site / folder)
    if not list(job.site.rglob("*.so")):
        raise RecipeError(f"{name}: the build made no extension module; see {job.log}")


def _headers(needed: str, wheel: Path, folder: Path, path: Path) -> None:
    """Makes `NAME.get_include()` of the build machine name the target's headers."""
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if "/include/" in name]
        archive.extractall(folder, names)
    include = folder / f"{needed}/_core/include"
    if not include.is_dir():
        raise RecipeError(f"{wheel.name} has no headers")
    text = f"def get_include():\n    return {str(include)!r}\n"
    (path / f"{needed}.py").write_text(text)
