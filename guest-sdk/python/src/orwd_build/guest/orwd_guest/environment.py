"""Base class of environments, with the behaviour of the published packages."""

import functools
import time
from abc import ABC, abstractmethod
from typing import Any, Callable, ClassVar, Optional, Sequence

from pydantic import ValidationError

from orwd_guest import tools
from orwd_guest.calls import run_user_callable
from orwd_guest.conversation import flatten_messages
from orwd_guest.types import (
    SUPPORTED_MESSAGE_BLOCK_TYPES,
    GroupCandidate,
    JSONObject,
    ListToolsOutput,
    Message,
    RunToolError,
    RunToolOutput,
    RunToolSuccess,
    TerminalToolSpec,
    ToolOutput,
)


class Environment(ABC):
    """An environment: tasks, a prompt, and tools of one episode."""

    toolsets: ClassVar[Sequence[type]] = ()
    # A default of the class, for subclasses that skip `super().__init__`.
    _episode_finished: bool = False

    def __init__(self, task_spec: JSONObject = {}, secrets: dict[str, str] = {}) -> None:
        self.task_spec = task_spec
        self._toolset_instances: dict[type, Any] = {}

    def setup(self) -> Any:
        """Prepares the episode."""

    def teardown(self) -> Any:
        """Ends the episode."""

    def get_prompt(self) -> Any:
        """Returns the blocks that begin the conversation; by default those of
        `get_messages`."""

        async def default() -> Any:
            if type(self).get_messages is Environment.get_messages:
                raise NotImplementedError(f"{type(self).__name__} must implement get_prompt() or get_messages().")
            return flatten_messages(await run_user_callable(self.get_messages))

        return default()

    def get_messages(self) -> Any:
        """Returns the conversation so far; by default the prompt as one message."""

        async def default() -> Any:
            if type(self).get_prompt is Environment.get_prompt:
                raise NotImplementedError(f"{type(self).__name__} must implement get_prompt() or get_messages().")
            return [Message(role="user", blocks=await run_user_callable(self.get_prompt))]

        return default()

    @classmethod
    @abstractmethod
    def list_tasks(cls, split: str) -> Any:
        """Returns the tasks of a split."""

    @classmethod
    @abstractmethod
    def list_splits(cls) -> Any:
        """Returns the splits."""

    @classmethod
    def _list_splits_cached(cls) -> Any:
        # The own dictionary, since a subclass may have other splits.
        if "_splits_cache" not in cls.__dict__:
            cls._splits_cache = cls.list_splits()
        return cls._splits_cache

    @classmethod
    async def _list_tasks_cached(cls, split: str) -> Any:
        if "_tasks_cache" not in cls.__dict__:
            cls._tasks_cache = {}
        if split not in cls._tasks_cache:
            cls._tasks_cache[split] = await run_user_callable(cls.list_tasks, split)
        return cls._tasks_cache[split]

    @classmethod
    async def num_tasks(cls, split: str) -> int:
        """Returns the number of tasks of a split."""
        return len(await cls._list_tasks_cached(split))

    @classmethod
    async def get_task(cls, split: str, index: int) -> JSONObject:
        """Returns the task with this index."""
        return (await cls._list_tasks_cached(split))[index]

    @classmethod
    async def get_task_range(
        cls, split: str, start: Optional[int] = None, stop: Optional[int] = None
    ) -> list[JSONObject]:
        """Returns the tasks from `start` to before `stop`, with the rules of slices."""
        try:
            tasks = await cls._list_tasks_cached(split)
        except NotImplementedError:
            total = await run_user_callable(cls.num_tasks, split)
            places = range(total)[start:stop]
            return [await run_user_callable(cls.get_task, split, place) for place in places]
        return list(tasks[slice(start, stop)])

    _is_tool = staticmethod(tools.is_tool)

    @classmethod
    @functools.cache
    def list_tools(cls) -> ListToolsOutput:
        """Returns the tools that are listed for every task."""
        last = tools.find_terminal(cls)
        for toolset in cls.toolsets or ():
            last = tools.find_terminal(toolset, last)
        listed = []
        own: set[str] = set()
        for owner in (cls, *(cls.toolsets or ())):
            for name in dir(owner):
                fn = getattr(owner, name)
                if not cls._is_tool(fn) or not tools.is_shared(fn):
                    continue
                if last is not None and name == last.name:
                    continue
                if owner is not cls and name in own:
                    raise ValueError(
                        f"Tool name collision: '{name}' is defined in both the environment "
                        f"and toolset '{owner.__name__}'. Please rename one of them to avoid conflicts."
                    )
                listed.append(tools.spec(name, fn))
                if owner is cls:
                    own.add(name)
        return ListToolsOutput(
            tools=listed,
            terminal_tool=last,
            supports_score_group=cls._supports_score_group(),
            message_block_types=list(SUPPORTED_MESSAGE_BLOCK_TYPES),
        )

    @classmethod
    def terminal_tool(cls) -> Optional[TerminalToolSpec]:
        """Returns the terminal tool, if there is one."""
        return cls.list_tools().terminal_tool

    @classmethod
    def is_assistant_message_final(cls) -> bool:
        """Returns whether a plain message of the agent ends the episode."""
        return cls.list_tools().terminal_tool is not None

    async def call_terminal_tool(self, message: str = "") -> RunToolOutput:
        """Calls the terminal tool with a message."""
        last = self.list_tools().terminal_tool
        if last is None:
            raise ValueError(
                f"Environment {self.name()!r} has no @terminal tool; "
                f"nothing to invoke. Decorate a tool with @terminal first."
            )
        return await self._call_tool(last.name, {} if last.arg is None else {last.arg: message})

    def list_task_tools(self) -> Any:
        """Returns the tools that this task adds to the listing."""
        return ListToolsOutput(tools=[])

    async def score_group(self, candidates: Sequence[GroupCandidate]) -> Any:
        """Scores a group of conversations."""
        raise NotImplementedError(f"{type(self).__name__} does not implement score_group().")

    @classmethod
    def _supports_score_group(cls) -> bool:
        return cls.score_group is not Environment.score_group

    def _toolset_tool(self, name: str) -> tuple[Optional[Callable[..., Any]], str]:
        """Returns the tool of a toolset, with the toolset's name."""
        instances = self.__dict__.setdefault("_toolset_instances", {})
        for toolset in type(self).toolsets or ():
            if toolset not in instances:
                try:
                    instances[toolset] = toolset(self)
                except TypeError:
                    try:
                        instances[toolset] = toolset()
                    except Exception as error:
                        print(f"toolset {toolset.__name__} cannot be created: {error}")
                        continue
            fn = getattr(instances[toolset], name, None)
            if fn is not None and self._is_tool(fn):
                return fn, toolset.__name__
        return None, ""

    async def _call_tool(self, name: str, input: JSONObject) -> RunToolOutput:
        fn = getattr(self, name, None)
        if fn is not None and not self._is_tool(fn):
            fn = None
        other, source = self._toolset_tool(name)
        if fn is not None and other is not None:
            return _refused(
                "name_collision",
                f"Tool name collision: '{name}' is defined in both the environment "
                f"and toolset '{source}'. Please rename one of them to avoid conflicts.",
            )
        fn = fn or other
        if fn is None:
            return _refused("not_found", f"{name!r} is not a valid tool")
        return await self._invoke_tool_fn(name, fn, input, time.monotonic())

    async def _invoke_tool_fn(
        self, name: str, fn: Callable[..., Any], input: JSONObject, start: float
    ) -> RunToolOutput:
        prepared = self._prepare(name, fn, input)
        if isinstance(prepared, RunToolError):
            return RunToolOutput(prepared)
        return self._complete(name, await run_user_callable(fn, *prepared))

    def _prepare(self, name: str, fn: Callable[..., Any], input: JSONObject) -> Any:
        """Checks a call. Returns the arguments, or why it is refused."""
        if self._episode_finished:
            return _finished(name)
        hints, params = tools.signature(fn)
        if not params:
            return ()
        try:
            return (hints[params[0].name](**input),)
        except ValidationError as error:
            return RunToolError(
                reason="input_validation",
                error=f"Tool input validation error: {str(error.errors())}",
            )

    def _complete(self, name: str, output: Any) -> RunToolOutput:
        if not isinstance(output, ToolOutput):
            raise TypeError(f"{name!r} returned {type(output).__name__}; expected ToolOutput")
        if self._episode_finished:
            return RunToolOutput(_finished(name))
        if output.finished:
            self._episode_finished = True
        return RunToolOutput(RunToolSuccess(output=output))

    @classmethod
    def name(cls) -> str:
        """Returns the name of the environment."""
        return cls.__name__


def _refused(reason: Any, error: str) -> RunToolOutput:
    return RunToolOutput(RunToolError(reason=reason, error=error))


def _finished(name: str) -> RunToolError:
    return RunToolError(
        reason="episode_finished",
        error=f"{name!r} was not run: the episode has finished (a tool "
        f"returned finished=True), so no further tool calls are accepted.",
    )
