"""One episode."""

import json
from typing import Any

from componentize_py_types import Err
from wit_world.imports import types as wit

from orwd_guest import calls
from orwd_guest.boot import seeding
from orwd_guest.environment import Environment
from orwd_guest.types import GroupCandidate, RunToolError
from orwd_guest.wire import convert, guard
from orwd_guest.wire.selected import selected

_says = guard.guarded(lambda message: message)


class Session:
    """The exported resource."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment

    @classmethod
    def open(cls, task: str, secrets: list[Any], seed: int) -> "Session":
        """Creates an episode."""
        return _open(cls, task, secrets, seed)

    @_says
    def setup(self) -> None:
        """Prepares the episode."""
        calls.run(self._environment.setup)

    @_says
    def prompt(self) -> list[Any]:
        """Returns the prompt."""
        return convert.blocks(calls.run(self._environment.get_prompt))

    @_says
    def messages(self) -> list[Any]:
        """Returns the conversation."""
        return [convert.message(message) for message in calls.run(self._environment.get_messages)]

    @_says
    def task_tools(self) -> list[Any]:
        """Returns the tools of the task."""
        listed = calls.run(self._environment.list_task_tools)
        return [
            wit.TaskTool(tool.name, convert.text(tool.description), convert.schema_json(tool.input_schema))
            for tool in listed.tools
        ]

    def call(self, tool: str, input: str) -> wit.ToolOutput:
        """Calls a tool."""
        return _call(self._environment, tool, input)

    def score_group(self, candidates: list[Any]) -> list[Any]:
        """Scores a group of candidates."""
        return _score(self._environment, candidates)

    @_says
    def teardown(self) -> None:
        """Ends the episode."""
        calls.run(self._environment.teardown)

    def __enter__(self) -> "Session":
        return self

    def __exit__(self, *exception: Any) -> None:
        return None


@_says
def _open(cls: type[Session], task: str, secrets: list[Any], seed: int) -> Session:
    seeding.seed(seed)
    environment = selected()
    values = {secret.name: secret.value for secret in secrets}
    return cls(calls.run(environment, task_spec=json.loads(task), secrets=values))


@guard.guarded(wit.ToolError_Failed, with_type=False)
def _call(environment: Environment, tool: str, input: str) -> wit.ToolOutput:
    result = calls.run(environment._call_tool, tool, json.loads(input)).root
    if not isinstance(result, RunToolError):
        return convert.output(result.output)
    if result.reason == "not_found":
        raise Err(wit.ToolError_NotFound())
    if result.reason == "name_collision":
        raise Err(wit.ToolError_Collision(convert.text(result.error)))
    if result.reason == "input_validation":
        raise Err(wit.ToolError_InvalidInput(guard.message(ValueError(result.error), False)))
    raise Err(wit.ToolError_Failed(convert.text(result.error)))


@guard.guarded(lambda message: message, with_type=False)
def _score(environment: Environment, candidates: list[Any]) -> list[Any]:
    group = [
        GroupCandidate(
            messages=[convert.message_of_client(message) for message in candidate.messages],
            metadata=None if candidate.metadata is None else json.loads(candidate.metadata),
        )
        for candidate in candidates
    ]
    scores = calls.run(environment.score_group, group)
    scores = [convert.score(score) for score in scores]
    if len(scores) != len(group):
        raise ValueError(f"score_group returned {len(scores)} scores for {len(group)} candidates")
    return scores
