"""The catalog of tasks and tools."""

from typing import Any

from componentize_py_types import Err
from wit_world.imports import types as wit

from orwd_guest import calls
from orwd_guest.environment import Environment
from orwd_guest.wire import convert, guard
from orwd_guest.wire.selected import selected

_failed = guard.guarded(wit.TaskError_Failed)


class OrwdCatalog:
    """The exported functions."""

    def describe(self) -> wit.Description:
        """Describes the environment. The interface knows no error here, so an
        exception ends the instance, and its traceback is in the log."""
        try:
            return _describe(selected())
        except BaseException as error:
            guard.log(error)
            raise

    @_failed
    def num_tasks(self, split: str) -> int:
        """Returns the number of tasks of a split."""
        cls = _with_split(split)
        return int(calls.run(cls.num_tasks, split))

    @_failed
    def tasks(self, split: str, start: int, stop: int) -> list[str]:
        """Returns tasks of a split."""
        cls = _with_split(split)
        tasks = _kept(cls, split)
        return [convert.task_json(task) for task in tasks[start:stop]]

    @_failed
    def task(self, split: str, index: int) -> str:
        """Returns one task."""
        cls = _with_split(split)
        try:
            task = calls.run(cls.get_task, split, index)
        except IndexError:
            raise Err(wit.TaskError_InvalidIndex()) from None
        return convert.task_json(task)


def _describe(cls: type[Environment]) -> wit.Description:
    splits = [convert.split(split) for split in cls._list_splits_cached()]
    supports = wit.Support(0)
    if cls.get_prompt is not Environment.get_prompt:
        supports |= wit.Support.PROMPTS
    if cls.get_messages is not Environment.get_messages:
        supports |= wit.Support.MESSAGES
    if cls.list_task_tools is not Environment.list_task_tools:
        supports |= wit.Support.TASK_TOOLS
    if cls._supports_score_group():
        supports |= wit.Support.SCORE_GROUP
    if _lists(cls, splits[0].name if splits else ""):
        supports |= wit.Support.LISTING
    return wit.Description(cls.name(), "", splits, convert.described_tools(cls), supports)


def _lists(cls: type[Environment], split: str) -> bool:
    """Returns whether the environment lists its tasks. It can be known only by
    asking; another error than the one that means no is the listing's own."""
    try:
        _kept(cls, split)
    except NotImplementedError:
        return False
    except Exception as error:
        guard.log(error)
    return True


def _kept(cls: type[Environment], split: str) -> Any:
    """Returns the tasks of a split, which are listed once in an instance."""
    return calls.run(cls._list_tasks_cached, split)


def _with_split(split: str) -> type[Environment]:
    cls = selected()
    names = [convert.split(known).name for known in cls._list_splits_cached()]
    if split not in names:
        raise Err(wit.TaskError_InvalidSplit())
    return cls
