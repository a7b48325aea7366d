"""Why there is no component."""


class BuildError(Exception):
    """Says what is wrong, where, and what to do."""
