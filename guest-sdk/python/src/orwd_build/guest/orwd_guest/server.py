"""Stand-in for the published servers: it records the classes to serve."""

import inspect
from typing import Any, Optional

from orwd_guest.environment import Environment

_recorded: list[type[Environment]] = []


class ServerStarted(BaseException):
    """Ends the main part of a module where the server would run."""


class Server:
    """Records environments in the order of the list."""

    def __init__(self, environments: list[Any], return_errors: str = "exception", **options: Any) -> None:
        if not environments:
            raise ValueError("Server requires at least one environment to be provided.")
        self._env_classes = by_name(environments)
        self.app = Application()
        _recorded[:] = list(self._env_classes.values())

    def run(self, *args: Any, **kwargs: Any) -> None:
        """Where the published server starts."""
        raise ServerStarted

    serve = run


class Application:
    """Stand-in for the web application of the published server."""

    def __getattr__(self, name: str) -> Any:
        def ignore(*args: Any, **kwargs: Any) -> Any:
            return args[0] if len(args) == 1 and callable(args[0]) and not kwargs else ignore

        return ignore


def by_name(environments: list[Any]) -> dict[str, type[Environment]]:
    """Returns the classes by the names under which they are served."""
    classes: dict[str, type[Environment]] = {}
    for environment in environments:
        cls = environment if inspect.isclass(environment) else type(environment)
        if not issubclass(cls, Environment):
            raise TypeError(f"{cls!r} is not Environment")
        key = cls.name().lower()
        if key in classes:
            raise ValueError(f"duplicate env {key}")
        classes[key] = cls
    return classes


def recorded() -> list[type[Environment]]:
    """Returns the classes that a `Server` got, if there was one."""
    return list(_recorded)


def check(name: str, cls: type[Environment]) -> Optional[str]:
    """Returns why a class cannot be served."""
    listed = cls.list_tools()
    hidden = any(cls._is_tool(getattr(cls, attribute, None)) for attribute in dir(cls))
    if not listed.tools and listed.terminal_tool is None and not hidden:
        return f"Environment '{name}' has no tools defined. Add at least one @tool method."
    if cls.get_prompt is Environment.get_prompt and cls.get_messages is Environment.get_messages:
        return (
            f"Environment '{name}' implements neither get_prompt() nor get_messages(). "
            f"Implement get_prompt() (or get_messages() for a conversation-shaped environment)."
        )
    if getattr(cls, "__abstractmethods__", None):
        missing = ", ".join(sorted(cls.__abstractmethods__))
        return f"Environment '{name}' does not implement {missing}."
    return None
