"""Builds a PyO3 extension: a static library by cargo, linked as a shared module.

No libc and no libpython is linked: componentize-py resolves both when it makes a
component. The standard library is built too, since the one of the toolchain is
not position-independent.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from . import zig
from .recipe import EXTENSION_SUFFIX, SUPPORT
from .source import copy
from .tools import Job, Rust

PYO3_CONFIG = """implementation=CPython
version=3.14
shared=true
abi3=false
lib_name=python3.14
pointer_width=32
build_flags=
suppress_build_script_link_lines=true
"""

TARGET = "wasm32-wasip1"


def build(job: Job) -> None:
    """Builds the extension module and copies the package's Python files."""
    options, source = job.recipe.options, job.source
    rust = job.tools.rust()
    if "lock" in options:
        shutil.copyfile(SUPPORT / options["lock"], source / "Cargo.lock")
    # Below the workspace, so that no path of this machine is part of a symbol.
    shutil.copytree(rust.library, source / ".std/library")
    config = source / ".pyo3-config"
    config.write_text(PYO3_CONFIG)
    env = {
        **rust.env,
        "RUSTC_BOOTSTRAP": "1",
        "__CARGO_TESTS_ONLY_SRC_ROOT": str(source / ".std/library"),
        "PYO3_CONFIG_FILE": str(config),
        "CARGO_TARGET_DIR": str(source / "target"),
        "CARGO_INCREMENTAL": "0",
        "CARGO_PROFILE_RELEASE_LTO": "fat",
        "CARGO_PROFILE_RELEASE_CODEGEN_UNITS": "1",
        "CARGO_PROFILE_RELEASE_OPT_LEVEL": str(options.get("opt_level", "s")),
        "CARGO_PROFILE_RELEASE_STRIP": "none",
        "CARGO_PROFILE_RELEASE_DEBUG": "0",
        "CARGO_PROFILE_RELEASE_PANIC": "abort",
        # Settings of the user must not change the result.
        "RUSTC_WRAPPER": "",
        "RUSTC_WORKSPACE_WRAPPER": "",
    }
    if options.get("c"):
        compiler = zig.wrappers(job, source / ".cc")
        name = TARGET.replace("-", "_")
        env |= {f"CC_{name}": str(compiler.cc), f"AR_{name}": str(compiler.ar)}
    manifest = source / options.get("manifest", "Cargo.toml")
    job.note("fetching crates")
    job.run(["cargo", "fetch", "--locked", "--manifest-path", manifest], env)
    env["CARGO_ENCODED_RUSTFLAGS"] = "\x1f".join(_flags(source))
    job.note("compiling")
    command = ["cargo", "rustc", "--locked", "--manifest-path", manifest, "--lib"]
    command += ["--crate-type", "staticlib", "--release", "--target", TARGET]
    command += ["-Z", "build-std=std,panic_abort"]
    if features := options.get("features"):
        command += ["--features", ",".join(features)]
    job.run(command, env)
    library = source / "target" / TARGET / "release" / f"lib{options['library']}.a"
    module = job.site / (options["module"] + EXTENSION_SUFFIX)
    module.parent.mkdir(parents=True, exist_ok=True)
    job.run(link(rust, library, options["module"].rsplit("/", 1)[-1], module))
    copy(job)


def link(rust: Rust, library: Path, name: str, module: Path) -> list[str | Path]:
    """The command that links a static library into an extension module."""
    # Without `--no-export-dynamic` every symbol would be exported and nothing removed.
    # Without `__wasm_call_ctors` static constructors would silently not run.
    command: list[str | Path] = [rust.linker, "-flavor", "wasm", "-shared"]
    command += ["--no-export-dynamic", "--experimental-pic", "--no-entry"]
    command += ["--unresolved-symbols=import-dynamic", "--gc-sections", "--strip-all"]
    command += ["--export-if-defined=__wasm_call_ctors", f"--export=PyInit_{name}"]
    return [*command, library, "-o", module]


def _flags(source: Path) -> list[str]:
    """The compiler's flags. Paths of this machine are replaced in messages."""
    home = Path(os.environ.get("CARGO_HOME") or Path.home() / ".cargo").resolve()
    flags = ["-Crelocation-model=pic", "-Zdefault-visibility=hidden"]
    remap = {path: "/crates" for path in sorted((home / "registry/src").glob("*"))}
    remap |= {home: "/cargo", source / "target": "/build", source: "/source"}
    # The last match wins, so the longest path comes last.
    for path, name in sorted(remap.items(), key=lambda item: len(str(item[0]))):
        flags.append(f"--remap-path-prefix={path}={name}")
    return flags

