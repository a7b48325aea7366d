from openreward.environments import Environment, TextBlock, ToolOutput


def text(value, **rest):
    return ToolOutput(blocks=[TextBlock(text=str(value))], **rest)


class OneSplit(Environment):
    TASKS: list = [{"id": "only"}]

    @classmethod
    def list_splits(cls):
        return ["train"]

    @classmethod
    def list_tasks(cls, split):
        return cls.TASKS

    def get_prompt(self):
        return [TextBlock(text=f"{type(self).__name__}: {self.task_spec.get('id')}")]
