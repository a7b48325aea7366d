"""The compiler driver that build systems see as `cc` and `c++`.

Usage: compiler.py SETTINGS.json (cc|c++) ARGUMENT...

It compiles with zig's clang, and links in one of two ways. With `-shared` it makes
an extension module whose libc and libpython symbols componentize-py resolves later.
Otherwise it links strictly, as a program, so that a configure check for a missing
function fails as it should.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

COMPILE_ONLY = ("-c", "-E", "-S", "-M", "-MM", "-dM", "--version", "-dumpversion")
SOURCES = (".c", ".cc", ".cpp", ".cxx")
OBJECTS = (".o", ".a")
#: Flags that take a value of their own.
VALUED = ("-include", "-isystem", "-I", "-D", "-U", "-MF", "-MT", "-MQ", "-x")
#: Flags of other platforms, of the linker, and of threads, which WASI lacks.
DROPPED_PREFIXES = ("-l", "-L", "-Wl,", "-fuse-ld=", "-march=", "-mtune=")
DROPPED = ("-shared", "-rdynamic", "-pthread", "-MD", "-MMD", "-pipe", "-Werror")

#: What wasi-libc emulates; componentize-py brings the libraries.
EMULATED = ("SIGNAL", "PROCESS_CLOCKS", "GETPID", "MMAN")

#: The libc++ of componentize-py has another ABI than zig's default.
CXX_ABI = (
    "-U_LIBCPP_ABI_VERSION",
    "-U_LIBCPP_ABI_NAMESPACE",
    "-D_LIBCPP_ABI_VERSION=2",
    "-D_LIBCPP_ABI_NAMESPACE=__2",
    "-fexceptions",
)

LINKER_VERSION = "LLD 22.1.8 (compatible with GNU linkers)"


@dataclass
class Line:
    """A command line, taken apart."""

    output: str = "a.out"
    flags: list[str] = field(default_factory=list)
    sources: list[str] = field(default_factory=list)
    objects: list[str] = field(default_factory=list)


def main(settings: dict[str, str], language: str, arguments: list[str]) -> int:
    """Compiles or links."""
    if "-Wl,--version" in arguments or "-Wl,-v" in arguments:
        print(LINKER_VERSION)
        return 0
    # The headers of the build machine's Python must not be seen, and there is one
    # target, whose name in Rust is another.
    arguments = [
        argument
        for argument in arguments
        if not (argument.startswith("-I") and "/include/python3." in argument)
        and not argument.startswith("--target=")
    ]
    compile_command = compiler(settings, language)
    includes = ["-isystem", settings["include"], "-isystem", settings["python"]]
    if any(argument in COMPILE_ONLY for argument in arguments) or any(
        argument.startswith(("-print-", "--print-")) for argument in arguments
    ):
        kept = [
            argument
            for argument in arguments
            if argument not in ("-pthread", "-Werror")
            and not argument.startswith(("-march=", "-mtune="))
        ]
        return subprocess.run([*compile_command, *kept, *includes], check=False).returncode
    line = parse(arguments)
    if not line.sources and not line.objects:
        # The `cc` crate asks `-?` to recognize another family of compilers.
        print("no input files", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as folder:
        objects = list(line.objects)
        for number, source in enumerate(line.sources):
            made = os.path.join(folder, f"{number}.o")
            command = [*compile_command, *line.flags, *includes, "-c", source, "-o", made]
            code = subprocess.run(command, check=False).returncode
            if code != 0:
                return code
            objects.append(made)
        if "-shared" in arguments:
            command = shared(settings, line.output, objects)
        else:
            command = program(settings, language, line.output, objects)
        return subprocess.run(command, check=False).returncode


def compiler(settings: dict[str, str], language: str) -> list[str]:
    """The command that compiles for WASI."""
    command = [settings["zig"], language, "-target", "wasm32-wasi", "-fPIC"]
    # Without it, a build without optimization would carry run-time checks.
    command += ["-fno-sanitize=undefined", "-fvisibility=hidden"]
    command += [f"-D_WASI_EMULATED_{name}" for name in EMULATED]
    command += [f"-ffile-prefix-map={settings['source']}=/source"]
    if language == "c++":
        command += CXX_ABI
    return command


def parse(arguments: list[str]) -> Line:
    """Takes the arguments of a link apart."""
    line = Line()
    rest = iter(arguments)
    for argument in rest:
        if argument == "-o":
            line.output = next(rest)
        elif argument in VALUED:
            line.flags += [argument, next(rest)]
        elif argument in ("-Wl,--whole-archive", "-Wl,--no-whole-archive"):
            line.objects.append(argument.removeprefix("-Wl,"))
        elif argument in DROPPED or argument.startswith(DROPPED_PREFIXES):
            continue
        elif argument.endswith(SOURCES) or argument == "-":
            line.sources.append(argument)
        elif argument.endswith(OBJECTS):
            line.objects.append(argument)
        else:
            line.flags.append(argument)
    return line


def shared(settings: dict[str, str], output: str, objects: list[str]) -> list[str]:
    """The command that links an extension module."""
    name = Path(output).name.split(".")[0]
    extra = settings.get(f"extra-{name}")
    command = [settings["zig"], "wasm-ld", "-shared", "--no-export-dynamic"]
    command += ["--experimental-pic", "--unresolved-symbols=import-dynamic", "--no-entry"]
    # Without `__wasm_call_ctors` static constructors would silently not run.
    command += ["--export-if-defined=__wasm_call_ctors", "--gc-sections", "--strip-all"]
    command += [f"--export-if-defined=PyInit_{name}", *objects]
    command += [extra] if extra else []
    return [*command, settings["stubs"], settings["builtins"], "-o", output]


def program(
    settings: dict[str, str], language: str, output: str, objects: list[str]
) -> list[str]:
    """The command that links a program for a configure check."""
    command = [settings["zig"], language, "-target", "wasm32-wasi", *objects, "-o", output]
    return command + [
        f"-lwasi-emulated-{name.lower().replace('_', '-')}" for name in EMULATED
    ]


if __name__ == "__main__":
    sys.exit(main(json.loads(Path(sys.argv[1]).read_text()), sys.argv[2], sys.argv[3:]))
