"""Plays environments with native packages under the published server and as components.

    python3 tests/python/packages.py ORWD [NAME...]

Compares all that a client sees of the episodes in `environments/NAME/episodes.json`,
and replays the sessions of the component. An episode that is `random` is played twice
as a component, and must not be the same. `cargo xtask wheels` runs it: building the
wheels takes long. Its virtual environment and cache are below `target`.
"""

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import uuid
from pathlib import Path

HERE = Path(__file__).resolve().parent
TARGET = HERE.parent.parent / "target"
NAMES = sorted(path.parent.name for path in (HERE / "environments").glob("*/episodes.json"))
#: The packages of the environments, in the versions of the recipes.
PACKAGES = ["numpy==2.4.6"]
#: How long a server may take to start: it builds and compiles first.
START = 3600

#: Interpreters before 3.13 keep the indentation of docstrings.
DIFFERENCES = [("\\n        ", "\\n")]


def python() -> Path:
    """The interpreter with the published server and the packages."""
    venv = TARGET / "orwd-python-packages"
    interpreter = venv / "bin/python"
    wanted = (HERE / "requirements.txt").read_text() + "\n".join(PACKAGES)
    stamp = venv / "created-from"
    if not (stamp.is_file() and stamp.read_text() == wanted):
        subprocess.run([sys.executable, "-m", "venv", "--clear", venv], check=True)
        command = [interpreter, "-m", "pip", "install", "--quiet", "-r", HERE / "requirements.txt", *PACKAGES]
        subprocess.run(command, check=True)
        stamp.write_text(wanted)
    return interpreter


def unused_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


class Server:
    """A server that ends with its block."""

    def __init__(self, command: list, **options) -> None:
        self.port = unused_port()
        command = [str(part).replace("PORT", str(self.port)) for part in command]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, **options)

    def __enter__(self) -> "Server":
        deadline = time.monotonic() + START
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise SystemExit(f"the server ended: {self.process.args}")
            try:
                if self.ask("GET", "/health")[0] == 200:
                    return self
            except OSError:
                time.sleep(0.2)
        raise SystemExit(f"the server does not answer: {self.process.args}")

    def __exit__(self, *exception) -> None:
        self.process.terminate()
        self.process.wait()

    def ask(self, method: str, path: str, body=None, session: str = "") -> tuple[int, str]:
        """One request."""
        headers = {"Content-Type": "application/json", "Accept": "text/event-stream, application/json"}
        if session:
            headers["X-Session-ID"] = session
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data, headers, method=method)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=300) as response:
                return response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def play(self, episode: dict) -> list[str]:
        """Plays an episode. Returns what a client sees."""
        name, session = episode["environment"], str(uuid.uuid4())
        seen = []

        def show(what: str, answer: tuple[int, str]) -> None:
            seen.append(f"{what}: {answer[0]} {normal(answer[1])}".replace(session, "ID"))

        for route in ("tools", "splits"):
            show(route, self.ask("GET", f"/{name}/{route}"))
        show("tasks", self.ask("POST", f"/{name}/tasks", {"split": "train"}))
        show("create", self.ask("POST", "/create", {"env_name": name, **episode["task"]}, session))
        show("prompt", self.ask("GET", f"/{name}/prompt", None, session))
        for tool, given in episode["calls"]:
            status, events = self.ask("POST", f"/{name}/call", {"name": tool, "input": given}, session)
            show(f"{tool} {given}", (status, result(events)))
        show("delete", self.ask("POST", "/delete", None, session))
        return seen


def normal(text: str) -> str:
    """JSON in one form, and other text as it is."""
    try:
        return json.dumps(json.loads(text), sort_keys=True)
    except ValueError:
        return text


def result(events: str) -> str:
    """The result of a call from its stream of events, or its error."""
    joined, ended = "", "nothing"
    for event in events.replace("\r\n", "\n").split("\n\n"):
        lines = event.split("\n")
        name = next((line[6:].strip() for line in lines if line.startswith("event:")), "")
        data = "\n".join(line[5:].removeprefix(" ") for line in lines if line.startswith("data:"))
        if name in ("chunk", "end", "error"):
            joined += data
            ended = "error" if name == "error" else "end"
    return f"{ended} {normal(joined)}"


def is_same(native: str, component: str) -> bool:
    """Whether two answers are equal, except for the known differences."""
    return native == component or any(native.replace(*pair) == component for pair in DIFFERENCES)


def compare(orwd: Path, name: str) -> int:
    """Compares one environment. Returns the number of differences."""
    folder = HERE / "environments" / name
    written = json.loads((folder / "episodes.json").read_text())
    episodes = [episode for episode in written if not episode.get("random")]
    with Server([python(), "-B", HERE / "native.py", folder / "server.py", "PORT"]) as native:
        expected = [native.play(episode) for episode in episodes]
    cache = TARGET / "orwd-cache"
    with tempfile.TemporaryDirectory(dir=TARGET) as state:
        serve = [orwd, "serve", folder, "--listen", "127.0.0.1:PORT", "--state", state, "--cache", cache]
        with Server(serve, stderr=subprocess.DEVNULL if "-q" in sys.argv else None) as component:
            seen = [component.play(episode) for episode in episodes]
            drawn = [[component.play(each) for _ in range(2)] for each in written if each.get("random")]
        replay = [orwd, "replay", "--all", "--state", state, "--cache", cache]
        replayed = subprocess.run(replay, check=False, capture_output=True, text=True)
    different = 0
    for first, second in zip(sum(expected, []), sum(seen, []), strict=True):
        if not is_same(first, second):
            different += 1
            print(f"{name}:\n  native     {first}\n  component  {second}")
    for first, second in drawn:
        calls = [line for line in first if line.startswith("draw ")]
        if not calls or set(calls) & set(second) or any("error" in line for line in calls):
            different += 1
            print(f"{name}: expected other numbers in each session\n  {first}\n  {second}")
    answers = sum(map(len, seen))
    print(f"{name}: {len(episodes)} episodes, {answers} answers, {different} different")
    print(f"{name}: {(replayed.stdout or replayed.stderr).strip().splitlines()[-1]}")
    return different + (replayed.returncode != 0)


def main() -> int:
    """Compares all environments."""
    orwd, *names = [argument for argument in sys.argv[1:] if argument != "-q"]
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    return 1 if sum(compare(Path(orwd).resolve(), name) for name in names or NAMES) else 0


if __name__ == "__main__":
    sys.exit(main())
