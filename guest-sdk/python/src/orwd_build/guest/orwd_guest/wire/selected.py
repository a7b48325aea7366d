"""The environment that this instance is.

A component may have several. The host serves each under its name, and tells the
instance the name.
"""

import os

from wit_world.imports import environment as wasi_environment

from orwd_guest.boot import author, layout
from orwd_guest.environment import Environment

NAME_VARIABLE = "ORWD_ENVIRONMENT"


def selected() -> type[Environment]:
    """Returns the class with the name under which it is served, or the first one."""
    # The variables are the host's, which does not know of a home.
    os.environ.setdefault("HOME", layout.HOME)
    classes = author.classes()
    for variable, value in wasi_environment.get_environment():
        if variable == NAME_VARIABLE and value in classes:
            return classes[value]
    return next(iter(classes.values()))
