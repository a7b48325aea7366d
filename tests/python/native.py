"""Serves a module of environments under the published package, on one port.

    python native.py FILE.py[:LIST] PORT

Without LIST, the module's main part runs up to `Server.run`. The process ends when its
standard input closes.
"""

import os
import runpy
import sys
import threading

os.environ["OPENREWARD_DISABLE_UPDATE_CHECK"] = "1"
os.environ.pop("OPENREWARD_OTLP_ENDPOINT", None)

import uvicorn  # noqa: E402
from openreward.environments import server as published  # noqa: E402


def end_with_caller():
    sys.stdin.read()
    os._exit(0)


def serve(server):
    uvicorn.run(server.app, host="127.0.0.1", port=PORT, access_log=False, log_level="warning", timeout_keep_alive=60)


FILE, _, LIST = sys.argv[1].partition(":")
PORT = int(sys.argv[2])
threading.Thread(target=end_with_caller, daemon=True).start()
sys.path.insert(0, os.path.dirname(FILE))
os.chdir(os.path.dirname(FILE))
sys.argv = [FILE]
if LIST:
    serve(published.Server(runpy.run_path(FILE, run_name="module")[LIST]))
else:
    published.Server.run = lambda self, *args, **kwargs: serve(self)
    runpy.run_path(FILE, run_name="__main__")
