"""Reads files of an author, who may be a stranger: regular files of bounded size,
and no links, which may lead anywhere."""

import os
import stat
from pathlib import Path

from orwd_build.errors import BuildError


def read(path: Path, limit: int) -> bytes:
    """Returns the bytes of a file."""
    try:
        # A pipe is opened without waiting for its other end.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        reason = "it is a link; put the file itself here" if path.is_symlink() else error.strerror
        raise BuildError(f"{path.name!r} cannot be read: {reason}") from None
    with open(descriptor, "rb") as file:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise BuildError(f"{path.name!r} is not a regular file")
        content = file.read(limit + 1)
    if len(content) > limit:
        raise BuildError(f"{path.name!r} has more than {limit} bytes, which are permitted")
    return content


def text(path: Path, limit: int) -> str:
    """Returns the text of a file."""
    try:
        return read(path, limit).decode("utf-8")
    except UnicodeDecodeError:
        raise BuildError(f"{path.name!r} is not UTF-8 text") from None
