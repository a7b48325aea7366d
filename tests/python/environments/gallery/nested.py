from datetime import date
from decimal import Decimal
from enum import Enum, IntEnum
from typing import Annotated, Literal, Optional, Union

from openreward.environments import ToolOutput, tool
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from common import OneSplit, text


class Colour(str, Enum):
    RED = "red"
    BLUE = "blue"


class Size(IntEnum):
    SMALL = 1
    LARGE = 2


class Address(BaseModel):
    street: str = Field(min_length=1, max_length=40)
    zip: str = Field(pattern=r"^\d{5}$")


class Card(BaseModel):
    kind: Literal["card"] = "card"
    number: str


class Invoice(BaseModel):
    kind: Literal["invoice"] = "invoice"
    days: Annotated[int, Field(gt=0, multiple_of=7)]


class Item(BaseModel):
    name: str
    price: Decimal = Field(max_digits=6, decimal_places=2)
    colour: Colour = Colour.RED
    size: Size = Size.SMALL
    tags: set[str] = set()

    @field_validator("name")
    @classmethod
    def not_blank(cls, value: str) -> str:
        if not value.strip():
            raise ValueError("the name is blank")
        return value.strip()


class Order(BaseModel):
    model_config = ConfigDict(extra="forbid")

    items: list[Item] = Field(min_length=1)
    address: Address
    payment: Union[Card, Invoice] = Field(discriminator="kind")
    due: Optional[date] = None
    notes: dict[str, list[int]] = {}

    @model_validator(mode="after")
    def not_too_much(self) -> "Order":
        if sum(item.price for item in self.items) > 1000:
            raise ValueError("too much for one order")
        return self


class Orders(OneSplit):
    """Nested models with validators."""

    @tool
    async def order(self, args: Order) -> ToolOutput:
        """Place an order."""
        total = sum(item.price for item in args.items)
        return text(args.model_dump_json(), metadata={"total": float(total), "due": str(args.due)})

    @tool
    async def schema(self) -> ToolOutput:
        """Show a schema that is computed late."""
        from pydantic import TypeAdapter

        return text(TypeAdapter(list[Item]).json_schema(mode="serialization"))
