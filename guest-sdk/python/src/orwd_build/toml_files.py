"""Reads TOML with any Python that builds environments."""

from typing import Any

from orwd_build.errors import BuildError


def parse(text: str, name: str) -> dict[str, Any]:
    """Parses the text of a file of this name."""
    try:
        import tomllib
    except ImportError:
        # Python before 3.11; pip has a copy.
        from pip._vendor import tomli as tomllib  # type: ignore[no-redef,import-untyped]
    try:
        return tomllib.loads(text)
    except ValueError as error:
        raise BuildError(f"{name}: {error}") from None
