"""Nested models and concurrent work: gather, sleep and to_thread."""

import asyncio
from enum import Enum
from typing import Optional

from openreward.environments import Environment, Split, TextBlock, ToolOutput, tool
from pydantic import BaseModel, field_validator


class Side(str, Enum):
    buy = "buy"
    sell = "sell"


class Order(BaseModel):
    side: Side
    amount: int
    limit: Optional[float] = None

    @field_validator("amount")
    @classmethod
    def positive(cls, value):
        if value <= 0:
            raise ValueError("the amount must be positive")
        return value


class Orders(BaseModel):
    orders: list[Order]


class Market(Environment):
    @classmethod
    def list_splits(cls):
        return [Split(name="train", type="train")]

    @classmethod
    async def list_tasks(cls, split):
        return [{"price": price} for price in (10.0, 20.0)]

    async def setup(self):
        self.cash = await asyncio.to_thread(lambda: 1000.0)

    async def get_prompt(self):
        return [TextBlock(text=f"The price is {self.task_spec['price']}.")]

    @tool
    async def place(self, args: Orders) -> ToolOutput:
        async def fill(order, input):
            await asyncio.sleep(0.01)
            sign = -1 if order.side is Side.buy else 1
            self.cash += sign * order.amount * input
            return f"{order.side.value} {order.amount}"

        texts = await asyncio.gather(*[fill(o, self.task_spec["price"]) for o in args.orders])
        return ToolOutput(blocks=[TextBlock(text=text) for text in texts], reward=0.0)
