"""Clients of HTTP, and the servers that they ask: what `[network]` of a manifest must
name."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Iterator, NamedTuple
from urllib.parse import urlsplit

from orwd_build.checks.rules import Rule

#: Modules that make HTTP requests, with the default server of each.
CLIENTS = {
    "openai": "https://api.openai.com",
    "anthropic": "https://api.anthropic.com",
    "tavily": "https://api.tavily.com",
    "requests": None,
    "httpx": None,
    "urllib3": None,
}

#: Calls that make HTTP requests. A name that ends with a dot stands for everything
#: below it.
CALLS = ("urllib.request.", "http.client.HTTPConnection", "http.client.HTTPSConnection")

#: Modules that exist in an environment which makes requests.
PRESENT = frozenset({"ssl"})

_PORTS = {"http": 80, "https": 443}


class Origin(NamedTuple):
    """A server."""

    scheme: str
    host: str
    port: int

    def __str__(self) -> str:
        port = "" if self.port == _PORTS[self.scheme] else f":{self.port}"
        return f"{self.scheme}://{self.host}{port}"


class Place(NamedTuple):
    """Where something is."""

    file: Path
    line: int
    column: int


@dataclass
class Uses:
    """What the modules of an environment have to do with the network."""

    #: The clients: what is written, and the server that is asked by default.
    clients: list[tuple[Place, str, str | None, bool]] = field(default_factory=list)
    #: The URLs that are written.
    urls: list[tuple[Place, Origin]] = field(default_factory=list)
    #: A client sets the URL of its server.
    sets_server: bool = False

    def findings(self, allowed: list[str] | None) -> Iterator[tuple[Place, str, Rule]]:
        """Compares it with what the manifest asks for; none if it has no `[network]`."""
        if not self.clients:
            return
        if allowed is None:
            found = [Origin(*origin(server)) for _, _, server, _ in self.clients if server and not self.sets_server]
            found += [url for _, url in self.urls]
            rules = ", ".join(f'"{name}"' for name in sorted({str(name) for name in found})) or '"https://SERVER"'
            rule = Rule(
                "network",
                "it makes HTTP requests, and orwd.toml asks for none",
                f"add a table `[network]` with `allow = [{rules}]` to orwd.toml, and serve the environment "
                "with --allow-network; it gets placeholders for secrets",
            )
            for place, what, _, guarded in self.clients:
                yield place, what, rule._replace(warning=guarded)
            return
        for place, what, server, _ in self.clients:
            if server and not self.sets_server and not is_allowed(Origin(*origin(server)), allowed):
                yield place, what, _host(f"its default server is {server}, which", server)
        for place, url in self.urls:
            if not is_allowed(url, allowed):
                yield place, f"the URL of {url}", _host("if it is requested, that", str(url))


def _host(what: str, server: str) -> Rule:
    return Rule(
        "network-host",
        f"{what} `[network]` in orwd.toml does not allow",
        f'add "{server}" to `allow`, and let the operator allow it too',
        warning=True,
    )


def client(module: str) -> tuple[bool, str | None]:
    """Returns whether a module is a client, and the server that it asks."""
    first = module.split(".")[0]
    return first in CLIENTS, CLIENTS.get(first)


def is_call(name: str) -> bool:
    """Returns whether a call makes requests."""
    return any(name == call or (call.endswith(".") and name.startswith(call)) for call in CALLS)


def origin(text: str, is_part: bool = False) -> Origin | None:
    """Returns the server of a URL; none if the text is no URL, or the part of one that
    ends before its path."""
    if not text.startswith(("http://", "https://")) or any(character.isspace() for character in text):
        return None
    try:
        url = urlsplit(text)
        port = url.port
    except ValueError:
        return None
    if not url.hostname or (is_part and not url.path):
        return None
    return Origin(url.scheme, url.hostname, port or _PORTS[url.scheme])


def is_allowed(server: Origin, allowed: list[str]) -> bool:
    """Returns whether a rule may match requests to this server."""
    for rule in allowed:
        named = origin(rule.split(" ")[-1].replace("://*.", "://any."))
        if named is None or (named.scheme, named.port) != (server.scheme, server.port):
            continue
        if "://*." in rule:
            if server.host.endswith(named.host.removeprefix("any")):
                return True
        elif named.host == server.host:
            return True
    return False
