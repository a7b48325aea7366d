"""Names of the published packages that need a server or a network.

They import, so that modules which only mention them work, and say what they
are when they are used.
"""

from typing import Any


class NotInEnvironment(NotImplementedError):
    """Something that an environment on orwd cannot use."""


_REASONS = {
    "sandbox": "needs a container of the platform, and an environment on orwd has none",
    "client": "is a client of the platform, and an environment on orwd has no network",
    "server": "belongs to the server, and orwd is the server",
}


def placeholder(name: str, kind: str) -> type:
    """Returns a class that raises when it is used."""

    def refuse(*args: Any, **kwargs: Any) -> Any:
        raise NotInEnvironment(
            f"{name} {_REASONS[kind]}. Remove its use, or make the part of the environment that needs it optional."
        )

    class Meta(type):
        def __call__(cls, *args: Any, **kwargs: Any) -> Any:
            return refuse()

        def __getattr__(cls, attribute: str) -> Any:
            if attribute.startswith("__"):
                raise AttributeError(attribute)
            return refuse()

        def __instancecheck__(cls, instance: Any) -> bool:
            return False

    # A class, so that annotations, `isinstance` and subclasses work.
    return Meta(name, (), {"__module__": "openreward", "__doc__": f"{name} {_REASONS[kind]}."})


class Settings:
    """Settings of the platform, which are kept and have no effect."""

    def __init__(self, *args: Any, **settings: Any) -> None:
        self.args = args
        self.__dict__.update(settings)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.__dict__!r})"


def settings(name: str) -> type:
    """Returns a class that keeps what it gets."""
    return type(name, (Settings,), {"__module__": "openreward"})
