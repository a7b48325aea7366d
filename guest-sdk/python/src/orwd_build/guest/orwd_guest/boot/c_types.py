"""The module `ctypes`, as far as packages use it without a library: the types, and
their sizes in a component.

There are no shared libraries in a component, so what would load or call one
raises.
"""

import sys
from types import ModuleType
from typing import Any


class _Type(type):
    """The type of C types, which can be repeated: `c_int * 4`."""

    _size = _align = 0

    def __mul__(cls, count: int) -> "_Type":
        array = _Type(f"{cls.__name__}_Array_{count}", (Array,), {"_type_": cls, "_length_": count})
        array._size, array._align = cls._size * count, cls._align
        return array

    __rmul__ = __mul__


class _Data(metaclass=_Type):
    def __init__(self, value: Any = 0) -> None:
        self.value = value

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.value!r})"


class Array(_Data):
    """Values of one type."""

    _type_: Any = None
    _length_ = 0

    def __init__(self, *values: Any) -> None:
        super().__init__([*values, *[0] * (self._length_ - len(values))])

    def __len__(self) -> int:
        return self._length_

    def __getitem__(self, index: Any) -> Any:
        return self.value[index]

    def __setitem__(self, index: Any, value: Any) -> None:
        self.value[index] = value


class Structure(_Data):
    """Fields, each at its alignment."""

    _fields_: Any = ()

    def __init_subclass__(cls) -> None:
        ends, align = 0, 1
        for _, kind, *_bits in cls.__dict__.get("_fields_", ()):
            step = kind._align or 1
            ends = -(-ends // step) * step + kind._size
            align = max(align, step)
        cls._size, cls._align = -(-ends // align) * align, align

    def __init__(self, *values: Any, **named: Any) -> None:
        for (name, *_), value in zip(self._fields_, values):
            setattr(self, name, value)
        for name, value in named.items():
            setattr(self, name, value)


class Union(Structure):
    """Fields in one place."""

    def __init_subclass__(cls) -> None:
        kinds = [kind for _, kind, *_bits in cls.__dict__.get("_fields_", ())]
        cls._size = max((kind._size for kind in kinds), default=0)
        cls._align = max((kind._align for kind in kinds), default=1)


class ArgumentError(Exception):
    """Never raised: nothing is called."""


#: Sizes on the 32-bit machine of a component.
_SIZES = {
    1: "c_bool c_byte c_ubyte c_char c_int8 c_uint8",
    2: "c_short c_ushort c_int16 c_uint16",
    4: "c_int c_uint c_long c_ulong c_int32 c_uint32 c_float c_wchar c_size_t c_ssize_t "
    "c_void_p c_char_p c_wchar_p py_object",
    8: "c_longlong c_ulonglong c_int64 c_uint64 c_double c_time_t",
    16: "c_longdouble",
}


def sizeof(of: Any) -> int:
    """Returns the bytes of a type, or of a value."""
    kind = of if isinstance(of, _Type) else type(of)
    if not isinstance(kind, _Type):
        raise TypeError("this type has no size")
    return kind._size


def alignment(of: Any) -> int:
    """Returns the alignment of a type, or of a value."""
    return (of if isinstance(of, _Type) else type(of))._align


def _pointer(to: Any) -> Any:
    made = _Type(f"LP_{getattr(to, '__name__', to)}", (_Data,), {"_type_": to})
    made._size = made._align = 4
    return made


class _Prototype:
    """The type of a function, which can be declared."""

    def __init__(self, *types: Any, **options: Any) -> None:
        self.types = types

    def __call__(self, *arguments: Any) -> Any:
        raise OSError("ctypes cannot call or be called in an environment on orwd: it has no shared libraries")


def _refuse(*arguments: Any, **named: Any) -> Any:
    raise OSError(
        f"ctypes cannot load or read {arguments[0] if arguments else 'memory'!r} in an environment on orwd: "
        f"it has no shared libraries"
    )


class _Libraries:
    """Libraries by their names, of which there are none."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _refuse(name)

    LoadLibrary = staticmethod(_refuse)


def install() -> None:
    """Makes this the module `ctypes`."""
    module: Any = ModuleType("ctypes", __doc__)
    module.__path__ = []
    for size, names in _SIZES.items():
        for name in names.split():
            kind = _Type(name, (_Data,), {})
            kind._size = kind._align = size
            setattr(module, name, kind)
    for value in (Array, Structure, Union, ArgumentError, sizeof, alignment):
        setattr(module, value.__name__, value)
    module._SimpleCData = module._Pointer = _Data
    module.BigEndianStructure = module.LittleEndianStructure = Structure
    module.POINTER = _pointer
    module.CFUNCTYPE = module.PYFUNCTYPE = _Prototype
    for name in ("CDLL", "PyDLL", "byref", "pointer", "addressof", "cast", "string_at", "wstring_at", "memmove"):
        setattr(module, name, _refuse)
    module.create_string_buffer = module.create_unicode_buffer = module.memset = _refuse
    module.cdll = module.pydll = module.pythonapi = _Libraries()
    module.RTLD_LOCAL = module.DEFAULT_MODE = 0
    module.RTLD_GLOBAL = 1
    module.get_errno = module.set_errno = lambda value=0: 0
    util: Any = ModuleType("ctypes.util")
    util.find_library = lambda name: None
    module.util = util
    sys.modules["ctypes"] = module
    sys.modules["ctypes.util"] = util
