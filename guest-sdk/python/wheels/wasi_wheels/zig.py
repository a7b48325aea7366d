"""Makes the compiler, the archiver and the libraries for C and C++ code."""

from __future__ import annotations

import json
import os
import shlex
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path

from .recipe import SUPPORT
from .tools import Job


@dataclass(frozen=True)
class Wrappers:
    """The programs that a build system calls."""

    cc: Path
    cxx: Path
    ar: Path
    #: The settings of the target's Python, for `_PYTHON_SYSCONFIGDATA_NAME`.
    sysconfig: Path
    env: dict[str, str]

    def python_env(self) -> dict[str, str]:
        """The environment in which the build machine's Python describes the target."""
        return {
            "_PYTHON_SYSCONFIGDATA_NAME": "_sysconfigdata__wasi_wasm32-wasi",
            "_PYTHON_HOST_PLATFORM": "wasi-wasm32",
            "PYTHONPATH": str(self.sysconfig),
            "SOURCE_DATE_EPOCH": "315532800",
        }


def wrappers(job: Job, folder: Path) -> Wrappers:
    """Makes the wrappers in a folder below the sources of a package."""
    folder.mkdir(parents=True)
    zig = job.tools.zig()
    cache = job.tools.folder / "zig-cache"
    env = {"ZIG_GLOBAL_CACHE_DIR": str(cache), "ZIG_LOCAL_CACHE_DIR": str(cache)}
    with tarfile.open(SUPPORT / "cpython-3.14-wasi.tar.xz") as tar:
        tar.extractall(folder / "python", filter="data")
    settings = {
        "zig": str(zig),
        "source": str(folder.parent),
        "include": str(SUPPORT / "include"),
        "python": str(folder / "python/include"),
    }
    path = folder / "settings.json"
    made = Wrappers(
        cc=_script(folder / "cc", path, "cc", env),
        cxx=_script(folder / "c++", path, "c++", env),
        ar=program(folder / "ar", [zig, "ar"], env),
        sysconfig=folder / "python/sysconfig",
        env=env,
    )
    path.write_text(json.dumps(settings))
    for name in ("cxxstubs", "fesoft"):
        job.run([made.cc, "-O2", "-c", SUPPORT / f"{name}.c", "-o", folder / f"{name}.o"])
    stubs = folder / "cxxstubs.a"
    job.run([made.ar, "crs", stubs, folder / "cxxstubs.o"])
    settings |= {
        "stubs": str(stubs),
        "builtins": str(_builtins(job, zig, folder, env)),
        # The flags of floating-point exceptions live in one module, which the
        # other modules of numpy import.
        "extra-_multiarray_umath": str(folder / "fesoft.o"),
    }
    path.write_text(json.dumps(settings))
    return made


def _builtins(job: Job, zig: Path, folder: Path, env: dict[str, str]) -> Path:
    """Builds compiler-rt, position-independent."""
    library = folder / "libbuiltins.a"
    source = zig.parent / "lib/compiler_rt.zig"
    command = [zig, "build-lib", source, "-target", "wasm32-wasi", "-fPIC"]
    command += ["-O", "ReleaseSmall", "--name", "builtins", f"-femit-bin={library}"]
    job.run(command, env)
    return library


def _script(path: Path, settings: Path, language: str, env: dict[str, str]) -> Path:
    compiler = Path(__file__).parent / "programs/compiler.py"
    return program(path, [sys.executable, "-I", compiler, settings, language], env)


def program(path: Path, command: list[str | Path], env: dict[str, str]) -> Path:
    """Writes a program that runs a command with some variables set."""
    exports = "".join(f"export {name}={shlex.quote(value)}\n" for name, value in env.items())
    line = shlex.join(map(str, command))
    path.write_text(f'#!/bin/sh\n{exports}exec {line} "$@"\n')
    os.chmod(path, 0o755)
    return path
