"""Files of the archive, for code that opens paths.

In an instance, the paths of the build lead to the archive. While the component
is built, `/orwd_data` leads to the data that the manifest bakes, or stops the
import of the author's module, which then waits for the session.
"""

import builtins
import io
import os
import stat as kinds
import tokenize
from typing import Any, Callable, Iterator

from orwd_guest.boot import layout
from orwd_guest.boot.archive import archive


class DataTouched(BaseException):
    """The author's module reads `/orwd_data` while it is imported, and the data
    is there in a session only."""


# What `/orwd_data` is: "absent", "stops" the import, "baked" or "session".
_data = "absent"
touched = False


def set_data(mode: str) -> None:
    """Sets what `/orwd_data` is."""
    global _data
    _data = mode


def _place(path: Any) -> Any:
    """Returns the path to use in place of this one."""
    global touched
    if isinstance(path, int):
        return path
    try:
        text = os.fspath(path)
    except TypeError:
        return path
    if isinstance(text, bytes):
        text = os.fsdecode(text)
    if _data != "session" and (text == layout.GUEST_DATA or text.startswith(layout.GUEST_DATA + "/")):
        touched = True
        if _data == "stops":
            raise DataTouched(text)
        if _data == "baked":
            return layout.DATA + text[len(layout.GUEST_DATA) :]
    return text


def _absolute(path: str) -> str:
    # The working directory of an instance is the folder of the author's module.
    return os.path.normpath(os.path.join(layout.AUTHOR, path))


class _Entry:
    """An entry of a folder in the archive."""

    def __init__(self, folder: str, name: str) -> None:
        self.name = name
        self.path = f"{folder}/{name}"

    def is_file(self, *, follow_symlinks: bool = True) -> bool:
        return _absolute(self.path) in archive

    def is_dir(self, *, follow_symlinks: bool = True) -> bool:
        return not self.is_file()

    def is_symlink(self) -> bool:
        return False

    def is_junction(self) -> bool:
        return False

    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:
        return _status(_absolute(self.path))

    def inode(self) -> int:
        return 0

    def __fspath__(self) -> str:
        return self.path


class _Entries:
    """What `os.scandir` returns for a folder in the archive."""

    def __init__(self, folder: str, names: list[str]) -> None:
        self._entries = iter([_Entry(folder, name) for name in names])

    def __iter__(self) -> Iterator[_Entry]:
        return self._entries

    def __next__(self) -> _Entry:
        return next(self._entries)

    def __enter__(self) -> "_Entries":
        return self

    def __exit__(self, *exception: Any) -> None:
        return None

    def close(self) -> None:
        return None


def _status(path: str) -> os.stat_result:
    if path in archive:
        return os.stat_result((kinds.S_IFREG | 0o444, 0, 0, 1, 0, 0, archive.size(path), 0, 0, 0))
    return os.stat_result((kinds.S_IFDIR | 0o555, 0, 0, 1, 0, 0, 0, 0, 0, 0))


def _is_kept(path: Any) -> bool:
    return isinstance(path, str) and (path in archive or path in archive.folders) and path != "/"


def _wrap_open(original: Callable[..., Any]) -> Callable[..., Any]:
    def open(
        file: Any,
        mode: str = "r",
        buffering: int = -1,
        encoding: Any = None,
        errors: Any = None,
        newline: Any = None,
        closefd: bool = True,
        opener: Any = None,
    ) -> Any:
        file = _place(file)
        if isinstance(file, str) and opener is None:
            path = _absolute(file)
            if path in archive:
                if set(mode) & set("wax+"):
                    raise PermissionError(13, "files of the component cannot be written; write below /tmp", file)
                content = io.BytesIO(archive.read(path))
                content.name = file  # type: ignore[attr-defined]
                if "b" in mode:
                    return content
                return io.TextIOWrapper(content, encoding or "utf-8", errors, newline)
        return original(file, mode, buffering, encoding, errors, newline, closefd, opener)

    return open


def _wrap(original: Callable[..., Any], kept: Callable[..., Any]) -> Callable[..., Any]:
    def call(path: Any = ".", *args: Any, **kwargs: Any) -> Any:
        path = _place(path)
        if isinstance(path, str) and not kwargs.get("dir_fd"):
            absolute = _absolute(path)
            if _is_kept(absolute):
                return kept(path, absolute)
        return original(path, *args, **kwargs)

    call.__name__ = original.__name__
    return call


def install() -> None:
    """Makes the functions that take paths look into the archive first."""
    opening = _wrap_open(io.open)
    builtins.open = opening  # type: ignore[assignment]
    io.open = opening  # type: ignore[assignment]
    # `inspect.getsource` reads sources by this name. Packages that import their parts
    # when they are used read their own source.
    tokenize._builtin_open = opening  # type: ignore[attr-defined]
    os.stat = _wrap(os.stat, lambda path, absolute: _status(absolute))  # type: ignore[assignment]
    os.lstat = _wrap(os.lstat, lambda path, absolute: _status(absolute))  # type: ignore[assignment]
    os.access = _wrap(os.access, lambda path, absolute: True)  # type: ignore[assignment]
    os.listdir = _wrap(os.listdir, lambda path, absolute: sorted(archive.folders.get(absolute, ())))  # type: ignore[assignment]
    os.scandir = _wrap(os.scandir, lambda path, absolute: _Entries(path, sorted(archive.folders.get(absolute, ()))))  # type: ignore[assignment]
