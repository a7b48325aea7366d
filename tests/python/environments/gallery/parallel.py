import asyncio

from openreward.environments import ToolOutput, tool
from pydantic import BaseModel

from common import OneSplit, text


class Work(BaseModel):
    parts: int = 4


class Workers(OneSplit):
    """Asynchronous code of all kinds."""

    async def setup(self):
        await asyncio.sleep(0.01)
        self.lock = asyncio.Lock()
        self.queue: asyncio.Queue = asyncio.Queue()
        self.done = []

    async def teardown(self):
        await asyncio.sleep(0)

    @tool
    async def gather(self, args: Work) -> ToolOutput:
        """Work side by side."""

        async def part(number):
            await asyncio.sleep(0.002 * (args.parts - number))
            async with self.lock:
                self.done.append(number)
            return number * number

        results = await asyncio.gather(*(part(n) for n in range(args.parts)))
        return text(f"{results} in order {self.done}")

    @tool
    async def thread(self) -> ToolOutput:
        """Call a function in a thread."""

        def blocking(a, b):
            return asyncio.run(self.add(a, b))

        return text(await asyncio.to_thread(blocking, 2, 3))

    async def add(self, a, b):
        await asyncio.sleep(0)
        return a + b

    @tool
    def synchronous(self) -> ToolOutput:
        """Start a loop in a synchronous tool."""
        return text(asyncio.run(self.add(20, 22)))

    @tool
    async def timeout(self) -> ToolOutput:
        """Give up waiting."""
        try:
            await asyncio.wait_for(asyncio.Event().wait(), 0.01)
        except asyncio.TimeoutError as error:
            return text(f"{type(error).__name__}")
        return text("it came")

    @tool
    async def produce(self, args: Work) -> ToolOutput:
        """Pass values between tasks."""

        async def producer():
            for n in range(args.parts):
                await self.queue.put(n)
            await self.queue.put(None)

        task = asyncio.create_task(producer())
        seen = []
        while (value := await self.queue.get()) is not None:
            seen.append(value)
        await task
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self.add(n, 1)) for n in seen]
        return text([task.result() for task in tasks])

    @tool
    async def fails_inside(self) -> ToolOutput:
        """Fail in one of several tasks."""
        await asyncio.gather(self.add(1, 2), self.add(1, "2"))
        return text("not reached")
