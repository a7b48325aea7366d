"""Declares tools, and finds those of a class."""

import inspect
from typing import Any, Callable, NamedTuple, Optional, get_type_hints

from pydantic import BaseModel

from orwd_guest.types import TerminalToolSpec, ToolOutput, ToolSpec


def tool(
    fn: Optional[Callable[..., Any]] = None,
    *,
    shared: bool = True,
    concurrent: bool = False,
    exclusive: bool = False,
) -> Callable[..., Any]:
    """Declares a method as a tool; usable with and without arguments.

    `shared=False` leaves it out of the listing. `concurrent` and `exclusive`
    state which calls of a session may run beside it; orwd runs them in sequence.
    """

    def mark(f: Callable[..., Any]) -> Callable[..., Any]:
        setattr(f, "_env_tool", True)
        setattr(f, "_env_tool_shared", shared)
        setattr(f, "_env_tool_concurrent", concurrent)
        setattr(f, "_env_tool_exclusive", exclusive)
        return f

    return mark if fn is None else mark(fn)


def terminal(fn: Callable[..., Any]) -> Callable[..., Any]:
    """Marks a tool as the one that grades the agent's final message."""
    setattr(fn, "_env_tool_terminal", True)
    return fn


class Signature(NamedTuple):
    """What a tool takes."""

    hints: dict[str, Any]
    params: list[inspect.Parameter]


_signatures: dict[Any, Signature] = {}


def signature(fn: Callable[..., Any]) -> Signature:
    """Returns the parameters of a tool and their types. The result is kept,
    since resolving type hints costs more than a trivial call."""
    plain = getattr(fn, "__func__", fn)
    known = _signatures.get(plain)
    if known is None:
        real = inspect.unwrap(fn)
        hints = get_type_hints(real, include_extras=True)
        params = [p for p in inspect.signature(real).parameters.values() if p.name != "self"]
        known = Signature(hints, params)
        _signatures[plain] = known
    return known


def is_tool(fn: Any) -> bool:
    """Returns whether this is a tool: it takes nothing or one pydantic model,
    and returns a `ToolOutput`."""
    if not callable(fn) or not getattr(fn, "_env_tool", False):
        return False
    hints, params = signature(fn)
    returned = hints.get("return")
    if not params:
        return returned == ToolOutput
    if len(params) > 1:
        return False
    model = hints.get(params[0].name)
    return inspect.isclass(model) and issubclass(model, BaseModel) and returned == ToolOutput


def is_shared(fn: Any) -> bool:
    """Returns whether a tool is listed."""
    return bool(getattr(fn, "_env_tool_shared", True))


def spec(name: str, fn: Callable[..., Any]) -> ToolSpec:
    """Describes a tool."""
    hints, params = signature(fn)
    schema = hints[params[0].name].model_json_schema() if params else None
    return ToolSpec(name=name, description=(fn.__doc__ or "").strip(), input_schema=schema)


def find_terminal(owner: Any, found: Optional[TerminalToolSpec] = None) -> Optional[TerminalToolSpec]:
    """Returns the terminal tool of a class, or the one found before. Two are an
    error."""
    for name in dir(owner):
        fn = getattr(owner, name, None)
        if fn is None or not getattr(fn, "_env_tool_terminal", False):
            continue
        if not getattr(fn, "_env_tool", False):
            raise ValueError(
                f"@terminal tool {name!r} is missing @tool. @terminal marks an "
                f"existing tool as terminal; it does not declare one. Add @tool above it."
            )
        if not is_tool(fn):
            raise ValueError(
                f"@terminal tool {name!r} is not a valid tool. It must take a single "
                f"Pydantic model argument and return ToolOutput."
            )
        if getattr(fn, "_env_tool_concurrent", False):
            raise ValueError(
                f"@terminal tool {name!r} is marked concurrent=True. A terminal "
                f"tool grades the episode, so it must run serialised."
            )
        if found is not None:
            raise ValueError(
                f"Multiple @terminal tools defined: {found.name!r} and {name!r}. "
                f"An environment may have at most one terminal tool."
            )
        found = TerminalToolSpec(name=name, arg=_terminal_argument(name, fn), description=(fn.__doc__ or "").strip())
    return found


def _terminal_argument(name: str, fn: Callable[..., Any]) -> Optional[str]:
    hints, params = signature(fn)
    if not params:
        return None
    model = hints.get(params[0].name)
    fields = list(getattr(model, "model_fields", {}) or {})
    if len(fields) > 1:
        raise ValueError(
            f"Terminal tool {name!r} must accept at most one argument (the message), "
            f"but its input model {getattr(model, '__name__', model)!r} declares "
            f"{len(fields)} fields: {fields}."
        )
    return fields[0] if fields else None
