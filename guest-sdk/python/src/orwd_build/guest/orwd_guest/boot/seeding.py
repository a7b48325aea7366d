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
_noting = True


def install() -> None:
    """Notes the generators that are made without a seed from now on."""
    original = random.Random.__init__

    def init(self: random.Random, x: Any = None) -> None:
        original(self, x)
        if x is None and type(self) is not random.SystemRandom:
            _unseeded.add(self)

    random.Random.__init__ = init  # type: ignore[method-assign]


def note_numpy() -> None:
    """Notes the generators of numpy that are made without a seed from now on, while
    the component is built."""
    module: Any = sys.modules["numpy.random"]
    original = module.default_rng

    def default_rng(seed: Any = None) -> Any:
        generator = original(seed)
        if seed is None and _noting:
            _numpy.append(generator)
        return generator

    module.default_rng = default_rng


def stop_noting() -> None:
    """Ends the notes: generators that a session makes draw from the session."""
    global _noting
    _noting = False


def seed(value: int) -> None:
    """Seeds the generators of this instance."""
    random.seed(value)
    for number, generator in enumerate(list(_unseeded), 1):
        generator.seed(f"{value}:{number}")
    module: Any = sys.modules.get("numpy.random")
    if module is None:
        return
    module.seed(value & 0xFFFFFFFF)
    for number, generator in enumerate(_numpy, 1):
        kind = type(generator.bit_generator)
        generator.bit_generator.state = kind([value, number]).state
