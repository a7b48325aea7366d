import base64
import struct
import zlib

from openreward.environments import ImageBlock, TextBlock, ToolOutput, tool
from pydantic import BaseModel, Field

from common import OneSplit


def png(width, height, rgb):
    def chunk(kind, data):
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    rows = b"".join(b"\0" + bytes(rgb) * width for _ in range(height))
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    # Stored without compression, which is the same with every version of zlib.
    data = zlib.compress(rows, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


class Fill(BaseModel):
    colour: tuple[int, int, int] = Field(description="Red, green and blue")


class Canvas(OneSplit):
    """Pictures in prompts and outputs."""

    def get_prompt(self):
        data = base64.b64encode(png(2, 2, (0, 0, 0))).decode()
        return [ImageBlock(data=data, mimeType="image/png", detail={"alt": "black"}), TextBlock(text="Paint it.")]

    @tool
    async def fill(self, args: Fill) -> ToolOutput:
        """Fill the canvas."""
        data = base64.b64encode(png(3, 1, args.colour)).decode()
        return ToolOutput(blocks=[ImageBlock(data=data, mimeType="image/png")], reward=sum(args.colour) / 765)
