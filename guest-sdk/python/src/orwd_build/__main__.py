"""`python -m orwd_build`: reads a request as one line of JSON from standard input, builds, and
writes the result as JSON to standard output. Progress goes to standard error.

People use `orwd build`, which makes the tool environment and caches results.
"""

import json
import os
import signal
import sys
import threading
from typing import Any

from orwd_build.build import build
from orwd_build.errors import BuildError


def main() -> int:
    """Runs one build."""
    request: dict[str, Any] = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_caller, daemon=True).start()
    try:
        result = build(request, lambda text: print(text, file=sys.stderr, flush=True))
    except BuildError as error:
        result = {"error": str(error)}
    json.dump(result, sys.stdout)
    print()
    sys.stdout.flush()
    # The thread above still reads, and would delay a regular end.
    os._exit(0)


def _end_with_caller() -> None:
    """Ends this process and those that it started when the caller is gone, which
    keeps standard input open."""
    sys.stdin.read()
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main())
