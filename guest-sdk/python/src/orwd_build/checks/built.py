"""Packages with native code that work: orwd has recipes of wheels for WASI."""

from __future__ import annotations

import re
from typing import NamedTuple

from orwd_build.checks.rules import Rule


class Built(NamedTuple):
    """A package, and what of it differs from other machines."""

    project: str
    version: str
    differences: tuple[str, ...] = ()


#: By the name of the module. A unit test compares the versions with the recipes.
BUILT = {
    "numpy": Built(
        "numpy",
        "2.4.6",
        (
            "the default integer has 32 bits: larger sums and products wrap, so name the type, as in "
            "np.array(values, dtype=np.int64)",
            "no warnings of divisions by zero, overflow or invalid values; the results inf and nan are the same",
            "linear algebra is that of numpy itself, without BLAS, and several times slower; a singular matrix "
            "raises no LinAlgError, so test the result with np.isfinite",
            "ndarray.tofile and np.memmap do not work; np.save, np.load and np.fromfile do",
        ),
    ),
    "pydantic_core": Built("pydantic_core", "2.50.5"),
    "jiter": Built("jiter", "0.19.0"),
    "orjson": Built("orjson", "3.13.0"),
    "regex": Built("regex", "2026.11.19"),
    "yaml": Built("PyYAML", "6.0.4", ("without libyaml: yaml.CSafeLoader does not exist",)),
    "markupsafe": Built("markupsafe", "3.0.4"),
    "msgpack": Built("msgpack", "1.2.4"),
}

#: What a build replaces, whatever the requirements say.
_ANY_VERSION = {"pydantic_core"}

_PIN = re.compile(r"===?\s*([0-9][0-9A-Za-z.!+*]*)")


def of_module(module: str) -> Built | None:
    """The package of an imported module."""
    return BUILT.get(module.split(".")[0])


def of_project(project: str) -> Built | None:
    """The package of a project on the index."""
    wanted = re.sub(r"[-_.]+", "-", project).lower()
    for built in BUILT.values():
        if re.sub(r"[-_.]+", "-", built.project).lower() == wanted:
            return built
    return None


def of_requirement(project: str, text: str) -> Rule | None:
    """The rule for a requirement of another version than the one that works."""
    built = of_project(project)
    pin = _PIN.search(text)
    if built is None or built.project in _ANY_VERSION or pin is None or _fits(pin[1], built.version):
        return None
    return Rule(
        "native-version",
        f"it has native code, and orwd has a wheel for WASI of version {built.version} only",
        f"write {built.project}=={built.version}, or remove the version",
    )


def _fits(pin: str, version: str) -> bool:
    if pin.endswith(".*"):
        return f"{version}.".startswith(pin[:-1])
    return pin == version
