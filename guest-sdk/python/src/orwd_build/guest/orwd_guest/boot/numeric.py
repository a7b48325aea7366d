"""numpy in a component: imported once, in the snapshot, and adapted where the
interpreter lacks what it uses of a system."""

import importlib.util
import os
from typing import Any, Optional

from orwd_guest.boot import seeding


def install() -> None:
    """Imports numpy if the component has it, before the author's module."""
    if importlib.util.find_spec("numpy") is None:
        return
    # What numpy itself imports late, such as for `unique` and archives of arrays, each
    # session would import again.
    import encodings.cp437  # noqa: F401

    import numpy
    import numpy.fft
    import numpy.ma
    import numpy.random
    from numpy.lib import _format_impl  # type: ignore[attr-defined]

    # For files of the system numpy duplicates descriptors, which WASI cannot.
    # Others are read and written by their methods.
    _format_impl.isfileobj = lambda file: False
    numpy.fromfile = _from_file  # type: ignore[assignment]
    seeding.note_numpy()


def _from_file(
    file: Any, dtype: Any = float, count: int = -1, sep: str = "", offset: int = 0, *, like: Optional[Any] = None
) -> Any:
    """`numpy.fromfile` without descriptors."""
    import numpy

    if not hasattr(file, "read"):
        with open(os.fspath(file), "rb") as opened:
            return _from_file(opened, dtype, count, sep, offset, like=like)
    if offset:
        file.seek(offset, 1)
    if sep:
        return numpy.fromstring(file.read().decode("latin-1"), dtype, count, sep=sep)
    kind = numpy.dtype(dtype)
    content = file.read(-1 if count < 0 else count * kind.itemsize)
    return numpy.frombuffer(content, kind, len(content) // kind.itemsize).copy()
