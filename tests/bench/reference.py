"""The reference server with one environment, for the benchmark.

    python reference.py < a pipe

Listens on a free port of 127.0.0.1, prints its address, and ends when its
standard input is closed, so that it never outlives the benchmark. The settings
are those of the package's own `Server.run`, except for the access log, which is
off, as for the server that it is compared with.
"""

import os
import signal
import socket
import sys
import threading

# Without it the package checks the network for a newer version.
os.environ["OPENREWARD_DISABLE_UPDATE_CHECK"] = "1"
os.environ.pop("OPENREWARD_OTLP_ENDPOINT", None)
os.environ["OPENREWARD_LOG_LEVEL"] = "WARNING"

import uvicorn  # noqa: E402
from openreward.environments import (  # noqa: E402
    Environment,
    Server,
    TextBlock,
    ToolOutput,
    tool,
)
from pydantic import BaseModel, Field  # noqa: E402


class EchoInput(BaseModel):
    text: str = Field(description="Text to return")
    upper: bool = False


class Alpha(Environment):
    @classmethod
    def list_splits(cls):
        return ["train"]

    @classmethod
    def list_tasks(cls, split):
        return [{"id": "train-0", "n": 0}]

    def get_prompt(self):
        return [TextBlock(text=f"task {self.task_spec.get('id', '?')}")]

    @tool
    async def echo(self, args: EchoInput) -> ToolOutput:
        """Return the given text."""
        text = args.text.upper() if args.upper else args.text
        return ToolOutput(blocks=[TextBlock(text=text)])


def end_with_input():
    sys.stdin.buffer.read()
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    # The protocol is named because the event loop sets TCP_NODELAY only if it
    # knows that the socket is TCP.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    # Connections before the server is ready wait instead of failing.
    listener.listen(2048)
    print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    # Only the address is read from standard output; the rest of the log goes to
    # standard error.
    os.dup2(2, 1)
    threading.Thread(target=end_with_input, daemon=True).start()
    config = uvicorn.Config(
        Server([Alpha]).app,
        timeout_keep_alive=60,
        access_log=False,
        log_level="warning",
    )
    uvicorn.Server(config).run(sockets=[listener])
