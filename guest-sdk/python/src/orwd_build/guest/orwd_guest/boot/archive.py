"""Sources and data files of the component, compressed, in memory.

An instance has no file of the build. Modules that are imported late, and files
beside a module that are read late, come from here. The build command writes the
archive; compressing inside of the component would leave garbage in its snapshot.
"""

import importlib.abc
import importlib.machinery
import importlib.readers
import importlib.util
import json
import os
import sys
import zlib
from types import ModuleType
from typing import Any, Optional, Sequence

from orwd_guest.boot import layout

# Modules of the standard library that no environment needs.
_LEFT_OUT = {
    "test", "idlelib", "tkinter", "turtledemo", "ensurepip", "lib2to3", "pydoc_data", "_pyrepl", "venv",
    "curses", "dbm", "turtle", "__phello__", "antigravity", "this", "site-packages", "xmlrpc", "wsgiref",
    "ctypes", "msilib", "distutils",
}  # fmt: skip

#: What follows the name in the file of a native module.
_NATIVE = ".cpython-314-wasm32-wasi.so"


class Archive:
    """Compressed members by path."""

    def __init__(self) -> None:
        self._data = b""
        self._members: dict[str, tuple[int, int]] = {}
        self._extra: dict[str, bytes] = {}
        self.folders: dict[str, set[str]] = {}
        #: Modules of native code, which are linked into the component.
        self.native: set[str] = set()

    def load(self) -> None:
        """Reads what the build command has written."""
        with open(f"{layout.SDK}/archive.json", encoding="utf-8") as file:
            index = json.load(file)
        with open(f"{layout.SDK}/native.json", encoding="utf-8") as file:
            self.native = set(json.load(file))
        with open(f"{layout.SDK}/archive.bin", "rb") as blob:
            self._data = blob.read()
        for path, (start, size) in index.items():
            self._members[path] = (start, size)
            self._note(path)

    def add(self, path: str, content: bytes) -> None:
        """Adds a file."""
        self._extra[path] = zlib.compress(content, 6)
        self._note(path)

    def _note(self, path: str) -> None:
        while True:
            folder, name = os.path.split(path)
            if name in self.folders.setdefault(folder, set()):
                return
            self.folders[folder].add(name)
            if folder in ("/", ""):
                return
            path = folder

    def __contains__(self, path: object) -> bool:
        return path in self._members or path in self._extra

    def read(self, path: str) -> bytes:
        """Returns the content of a file."""
        if path in self._extra:
            return zlib.decompress(self._extra[path])
        start, size = self._members[path]
        return zlib.decompress(memoryview(self._data)[start : start + size])

    def size(self, path: str) -> int:
        """Returns the size of a file."""
        return len(self.read(path))


archive = Archive()


class Finder(importlib.abc.MetaPathFinder):
    """Finds modules in the archive, in the folders of the import path."""

    def find_spec(
        self, fullname: str, path: Optional[Sequence[str]] = None, target: Optional[ModuleType] = None
    ) -> Optional[importlib.machinery.ModuleSpec]:
        name = fullname.rpartition(".")[2]
        for folder in sys.path if path is None else path:
            package = f"{folder}/{name}/__init__.py"
            if package in archive:
                loader = Loader(fullname, package)
                spec = importlib.machinery.ModuleSpec(fullname, loader, origin=package, is_package=True)
                spec.submodule_search_locations = [f"{folder}/{name}"]
                spec.has_location = True
                return spec
            module = f"{folder}/{name}.py"
            if module in archive:
                spec = importlib.machinery.ModuleSpec(fullname, Loader(fullname, module), origin=module)
                spec.has_location = True
                return spec
            native = f"{folder}/{name}{_NATIVE}"
            if native in archive.native:
                linked = importlib.machinery.ExtensionFileLoader(fullname, native)
                return importlib.util.spec_from_file_location(fullname, native, loader=linked)
            if f"{folder}/{name}" in archive.folders and f"{folder}/{name}" not in archive:
                # A package without `__init__.py`.
                spec = importlib.machinery.ModuleSpec(fullname, None, is_package=True)
                spec.submodule_search_locations = [f"{folder}/{name}"]
                return spec
        return None


class Loader(importlib.abc.InspectLoader):
    """Loads a module from the archive."""

    def __init__(self, fullname: str, path: str) -> None:
        self.name = fullname
        self.path = path

    def create_module(self, spec: Any) -> None:
        """The usual kind of module."""

    def exec_module(self, module: ModuleType) -> None:
        exec(self.get_code(self.name), module.__dict__)

    def get_code(self, fullname: str) -> Any:
        return compile(archive.read(self.path), self.path, "exec", dont_inherit=True)

    def get_source(self, fullname: str) -> str:
        return importlib.util.decode_source(archive.read(self.path))

    def get_data(self, path: str) -> bytes:
        """Returns a data file of the package."""
        if path not in archive:
            raise FileNotFoundError(path)
        return archive.read(path)

    def get_filename(self, fullname: str) -> str:
        """Returns the path of the module."""
        return self.path

    def is_package(self, fullname: str) -> bool:
        return self.path.endswith("/__init__.py")

    def get_resource_reader(self, fullname: str) -> Any:
        from importlib.readers import FileReader

        return FileReader(self)


def add_standard_library() -> None:
    """Adds the modules of the standard library that are not imported yet."""
    root = layout.LIBRARY
    pending = [root]
    while pending:
        folder = pending.pop()
        for name in sorted(os.listdir(folder)):
            path = f"{folder}/{name}"
            if name in _LEFT_OUT or name.removesuffix(".py") in _LEFT_OUT or name == "__pycache__":
                continue
            if name.endswith(".py"):
                module = path[len(root) + 1 : -3].replace("/", ".").removesuffix(".__init__")
                if module in sys.modules:
                    continue
                with open(path, "rb") as file:
                    archive.add(path, file.read())
            elif "." not in name and os.path.isdir(path):
                pending.append(path)


def install() -> None:
    """Makes imports search the archive before the files that no instance has."""
    if not any(isinstance(finder, Finder) for finder in sys.meta_path):
        place = next(
            (i for i, finder in enumerate(sys.meta_path) if finder is importlib.machinery.PathFinder),
            len(sys.meta_path),
        )
        sys.meta_path.insert(place, Finder())
    sys.path_importer_cache.clear()
    _serve_loaders()


def _serve_loaders() -> None:
    """Lets the modules of the snapshot find their sources and data files, which
    `inspect` and `pkgutil` read by the loader."""
    from importlib._bootstrap_external import FileLoader

    original = FileLoader.get_data

    def get_data(self: Any, path: str) -> bytes:
        try:
            return original(self, path)
        except OSError:
            if path in archive:
                return archive.read(path)
            raise

    FileLoader.get_data = get_data
