"""Randomness: every generator without a seed of its own gets the session's.

`os.urandom`, and with it `uuid` and `secrets`, is the host's and seeded there.
Generators that were made while the component was built have the same state in
all instances, so those that nobody seeded are noted, and seeded for the session.
"""

import random
import sys
import weakref
from typing import Any

_unseeded: "weakref.WeakSet[random.Random]" = weakref.WeakSet()
_numpy: list[Any] = []


def install() -> None:
    """Notes the generators that are made without a seed from now on."""
    original = random.Random.__init__

    def init(self: random.Random, x: Any = None) -> None:
        original(self, x)
        if x is None and type(self) is not random.SystemRandom:
            _unseeded.add(self)

    random.Random.__init__ = init  # type: ignore[method-assign]


def note_numpy() -> None:
    """Notes numpy's generators too, once it is imported."""
    numpy = sys.modules.get("numpy")
    module = getattr(numpy, "random", None)
    if module is None or getattr(module, "_orwd", False):
        return
    module._orwd = True
    original = module.default_rng

    def default_rng(seed: Any = None) -> Any:
        generator = original(seed)
        if seed is None:
            _numpy.append(weakref.ref(generator))
        return generator

    module.default_rng = default_rng


def seed(value: int) -> None:
    """Seeds the generators of this instance."""
    random.seed(value)
    for number, generator in enumerate(list(_unseeded), 1):
        generator.seed(f"{value}:{number}")
    module = getattr(sys.modules.get("numpy"), "random", None)
    if module is None:
        return
    module.seed(value & 0xFFFFFFFF)
    for number, reference in enumerate(_numpy, 1):
        generator = reference()
        if generator is not None:
            kind = type(generator.bit_generator)
            generator.bit_generator.state = kind([value, number]).state
