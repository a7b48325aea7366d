"""The build tools: pinned wheels in a virtual environment, and the Rust toolchain."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

from .recipe import HERE, Recipe, RecipeError


def cache_folder() -> Path:
    """Where tools, sources and results are kept."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return Path(base) / "orwd" / "wheels"


def note(text: str) -> None:
    """Shows progress."""
    print(text, file=sys.stderr, flush=True)


def run(
    command: list[str | Path],
    *,
    log: Path,
    cwd: Path | None = None,
    env: dict[str, str] | None = None,
) -> None:
    """Runs a build step. Its output goes to a log, and to the error if it fails."""
    with log.open("ab") as file:
        file.write(("$ " + " ".join(map(str, command)) + "\n").encode())
        file.flush()
        try:
            ended = subprocess.run(
                [str(part) for part in command],
                cwd=cwd,
                env={**os.environ, **(env or {})},
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                check=False,
            )
        except FileNotFoundError:
            raise RecipeError(f"the program {str(command[0])!r} is missing") from None
    if ended.returncode != 0:
        tail = log.read_text(errors="replace").splitlines()[-30:]
        text = "\n  ".join(tail)
        raise RecipeError(f"{Path(str(command[0])).name} failed (log: {log}):\n  {text}")


def output(command: list[str | Path], env: dict[str, str] | None = None) -> str:
    """The standard output of a program."""
    try:
        return subprocess.run(
            [str(part) for part in command],
            env={**os.environ, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            check=True,
            text=True,
        ).stdout.strip()
    except FileNotFoundError:
        raise RecipeError(f"the program {str(command[0])!r} is missing") from None
    except subprocess.CalledProcessError as error:
        raise RecipeError(f"{command[0]} failed with exit code {error.returncode}") from None


class Tools:
    """The pinned tools of `tools.toml`, made when first needed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with (HERE / "tools.toml").open("rb") as file:
            self._pins = tomllib.load(file)

    def python(self, group: str = "base") -> Path:
        """An interpreter that has the wheels of a group of tools."""
        wanted = {**self._pins["base"], **self._pins.get(group, {})}
        lines = []
        for name, pin in sorted(wanted.items()):
            hashes = " ".join(f"--hash=sha256:{digest}" for digest in pin["sha256"])
            lines.append(f"{name}=={pin['version']} {hashes}\n")
        text = "".join(lines)
        venv = self.folder / "tools" / f"{group}-{sys.version_info[0]}.{sys.version_info[1]}"
        python = venv / "bin" / "python"
        stamp = venv / "requirements.txt"
        if stamp.is_file() and stamp.read_text() == text:
            return python
        note(f"installing the build tools ({', '.join(sorted(wanted))})")
        shutil.rmtree(venv, ignore_errors=True)
        venv.parent.mkdir(parents=True, exist_ok=True)
        log = venv.with_suffix(".log")
        log.unlink(missing_ok=True)
        run([sys.executable, "-m", "venv", venv], log=log)
        requirements = venv / "wanted.txt"
        requirements.write_text(text)
        run(
            [python, "-m", "pip", "install", "--quiet", "--require-hashes"]
            + ["--only-binary", ":all:", "--no-deps", "-r", requirements],
            log=log,
        )
        requirements.rename(stamp)
        return python

    def program(self, name: str, group: str) -> Path:
        """A program of a group of tools."""
        return self.python(group).parent / name

    def zig(self) -> Path:
        """The C compiler."""
        python = self.python("c")
        where = "import ziglang, os; print(os.path.dirname(ziglang.__file__))"
        return Path(output([python, "-c", where])) / "zig"

    def rust(self) -> Rust:
        """The Rust toolchain, with the sources of its standard library."""
        return Rust(self._pins["rust"]["version"])


class Rust:
    """The pinned Rust toolchain, which rustup installs."""

    def __init__(self, version: str) -> None:
        self.version = version
        if shutil.which("rustup") is None:
            raise RecipeError(
                "rustup is missing; install Rust with rustup, which brings the compiler that "
                f"this recipe needs ({version})"
            )
        # The toolchain file of a surrounding folder must not decide.
        self.env = {"RUSTUP_TOOLCHAIN": version}
        if not self._has_sources():
            self._install()
        self.sysroot = Path(output(["rustc", "--print", "sysroot"], self.env))
        self.host = next(
            line.removeprefix("host: ")
            for line in output(["rustc", "-vV"], self.env).splitlines()
            if line.startswith("host: ")
        )

    def _installed(self) -> bool:
        lines = output(["rustup", "toolchain", "list"]).splitlines()
        return any(line.startswith(f"{self.version}-") for line in lines)

    def _has_sources(self) -> bool:
        if not self._installed():
            return False
        sysroot = output(["rustc", "--print", "sysroot"], self.env)
        return Path(sysroot, "lib/rustlib/src/rust/library/Cargo.lock").is_file()

    def _install(self) -> None:
        note(f"installing the sources of the standard library of Rust {self.version}")
        if self._installed():
            # Installing the toolchain again would replace it while others use it.
            command = ["component", "add", "rust-src", "--toolchain", self.version]
        else:
            command = ["toolchain", "install", self.version, "--profile", "minimal"]
            command += ["--no-self-update", "--component", "rust-src"]
        subprocess.run(["rustup", *command], stdout=sys.stderr, check=False)
        if not self._has_sources():
            raise RecipeError(
                f"rustup could not install Rust {self.version} with rust-src; run "
                f"`rustup {' '.join(command)}` to see why"
            )

    @property
    def library(self) -> Path:
        """The sources of the standard library."""
        return self.sysroot / "lib/rustlib/src/rust/library"

    @property
    def linker(self) -> Path:
        """The linker for WebAssembly."""
        return self.sysroot / "lib/rustlib" / self.host / "bin/rust-lld"


@dataclass(frozen=True)
class Job:
    """One build: what a route reads and writes."""

    recipe: Recipe
    tools: Tools
    #: The unpacked sources, which the build may change.
    source: Path
    #: The content of the wheel, without metadata.
    site: Path
    #: The output of the programs that run.
    log: Path
    #: The wheels that the recipe needs, by name.
    needs: dict[str, Path]

    def run(self, command: list[str | Path], env: dict[str, str] | None = None) -> None:
        """Runs a build step in the source folder."""
        run(command, log=self.log, cwd=self.source, env=env)

    def note(self, text: str) -> None:
        """Shows progress."""
        note(f"{self.recipe.name}: {text}")
