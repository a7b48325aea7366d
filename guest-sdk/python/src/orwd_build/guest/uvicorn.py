"""Stand-in for `uvicorn`: where the web server starts, the main part of a module ends."""

from typing import Any

from orwd_guest.server import ServerStarted


def run(*args: Any, **kwargs: Any) -> None:
    """Where the web server starts."""
    raise ServerStarted


class Config:
    """Settings of the web server, which have no effect."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.args = args


class Server:
    """The web server."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.args = args

    def run(self, *args: Any, **kwargs: Any) -> None:
        """Where the web server starts."""
        raise ServerStarted

    async def serve(self, *args: Any, **kwargs: Any) -> None:
        """Where the web server starts."""
        raise ServerStarted
