"""Stories about `orwd hub`: the published client and our commands of the same names, processes that are killed, and
who may reach what.

    ORWD_BIN=target/release/orwd ENV_SOURCE=folder ENV_CALL='{"tool":…,"input":…}' pytest test_platform.py

Each test has a platform of its own. ENV_SOURCE is a folder with a manifest and a component, and ENV_CALL a call whose result is
another one each time.
"""
import base64
import hashlib
import hmac
import http.client
import http.server
import json
import os
import re
import resource
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from pathlib import Path

import pytest

ORWD, SOURCE = os.environ["ORWD_BIN"], Path(os.environ["ENV_SOURCE"])
CALL = json.loads(os.environ["ENV_CALL"])
KEYS = {name: f"the-key-of-{name}-for-tests" for name in ("alice", "bob", "carol", "dave", "root")}
PASSWORD = "correct horse battery staple"
ACCOUNTS = "".join(f'[[users]]\nname = "{n}"\npassword = "{PASSWORD}"\nkeys = [{{ name = "test", key = "{k}" }}]\n'
                   for n, k in KEYS.items()).replace('"root"', '"root"\nadmin = true', 1)
ACCOUNTS += '[[organisations]]\nname = "acme"\nmembers = { alice = "maintainer", carol = "reader", dave = "owner" }\n'


class Platform:
    def __init__(self, folder: Path, *arguments):
        self.arguments = arguments
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.address = f"127.0.0.1:{free.getsockname()[1]}"
        self.folder, self.base = folder, f"http://{self.address}"
        (folder / "accounts.toml").write_text(ACCOUNTS)
        self.start()

    def start(self):
        with open(self.folder / "log", "ab") as log:
            command = [ORWD, "hub", "--state", self.folder / "hub", "--bootstrap", self.folder / "accounts.toml",
                       "--listen", self.address, *self.arguments]
            self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
        assert "is listening on" in self.process.stdout.readline(), self.log()

    def log(self) -> str:
        return (self.folder / "log").read_text()

    def started(self, name: str) -> list[int]:
        return [int(pid) for pid in re.findall(rf'process started process="{name}[^"]*" pid=(\d+)', self.log())]

    def send(self, method, path, body=None, key="alice", headers=()):
        headers = dict(headers) | {"Content-Type": "application/json"} | ({"X-API-Key": KEYS.get(key, key)} if key else {})
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.base + path, method=method, data=data, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                return response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def ok(self, method, path, body=None, **more):
        status, text = self.send(method, path, body, **more)
        assert status == 200, (method, path, status, text)
        return json.loads(text)

    def deploy(self, name):
        """A linked environment, deployed by a push; gives its id and the working copy."""
        ident = self.ok("POST", "/v1/environments", {"name": name, "description": "d"})["id"]
        self.ok("POST", f"/v1/github/environments/alice/{name}/connect", {"githubRepoId": ident})
        copy = self.folder / name
        shutil.copytree(SOURCE, copy)
        git(copy, "init", "-q", "-b", "main")
        self.push(ident, name, copy)
        return ident, copy

    def remote(self, name, key="alice"):
        return f"http://git:{KEYS[key]}@{self.address}/git/alice/{name}.git"

    def push(self, ident, name, copy):
        (copy / "note").write_text(uuid.uuid4().hex)
        git(copy, "add", "-A")
        git(copy, "commit", "-q", "-m", "change")
        git(copy, "push", "-q", self.remote(name), "main")
        sha = git(copy, "rev-parse", "HEAD").stdout.strip()
        wait(lambda: [d for d in self.deployments(ident) if d["commitSha"] == sha and d["status"] == "deployed"])
        return sha

    def deployments(self, ident):
        return self.ok("GET", f"/v1/github/environments/{ident}/deployments")

    def session(self, name, key="alice"):
        return Session(self, name, key)


class Session:
    def __init__(self, platform, name, key):
        self.platform, self.key = platform, key
        self.headers = {"X-Deployment": f"alice/{name}"}
        status, text = platform.send("POST", "/create_session", {}, key=key, headers=self.headers)
        assert status == 200, text
        self.headers["X-Session-ID"] = re.search(r"data: (\S+)", text)[1]
        split = platform.ok("GET", "/splits", key=key, headers=self.headers)[0]
        platform.ok("POST", "/create", {"split": split["name"], "index": 0}, key=key, headers=self.headers)

    def call(self):
        body = {"name": CALL["tool"], "input": CALL["input"]}
        status, text = self.platform.send("POST", "/call", body, key=self.key, headers=self.headers)
        assert status == 200 and "event: error" not in text, text
        return text.split("event: end")[1]

    def commit(self):
        return self.platform.ok("GET", "/version", key=self.key, headers=self.headers)["build_sha"]

    def is_served(self):
        return self.platform.send("GET", "/prompt", key=self.key, headers=self.headers)[0] == 200


CLIENTS = {"published": [sys.executable, "-m", "openreward.cli"], "ours": [ORWD]}


class Commands:
    """The management commands of one client, run with the key of one user."""

    def __init__(self, platform, client, key="alice"):
        self.command, self.platform = CLIENTS[client], platform
        self.environ = os.environ | {
            "OPENREWARD_API_KEY": KEYS[key], "OPENREWARD_URL": platform.base,
            "OPENREWARD_API_URL": platform.base, "OPENREWARD_SESSION_URL": platform.base, "OPENREWARD_DISABLE_UPDATE_CHECK": "1",
            "NO_PROXY": "127.0.0.1,localhost"}

    def run(self, *args, ok=True):
        done = subprocess.run([*self.command, *args], cwd=self.platform.folder, env=self.environ, capture_output=True,
                              text=True, timeout=120)
        assert (done.returncode == 0) == ok, (args, done.stdout, done.stderr)
        return done.stdout if ok else done.stderr

    def json(self, *args):
        return json.loads(self.run(*args, "-o", "json"))


def git(folder, *args, ok=True):
    env = os.environ | {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "GIT_TERMINAL_PROMPT": "0"}
    env |= {f"GIT_{w}_{k}": v for w in ("AUTHOR", "COMMITTER") for k, v in (("NAME", "t"), ("EMAIL", "t@example.org"))}
    done = subprocess.run(["git", *args], cwd=folder, env=env, capture_output=True, text=True, timeout=120)
    assert (done.returncode == 0) == ok, done.stderr
    return done


def wait(what, seconds=60):
    until = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < until, f"not within {seconds} s"
        time.sleep(0.1)


def running(folder, *arguments):
    platform = Platform(folder, *arguments)
    yield platform
    platform.process.terminate()
    platform.process.wait(90)


@pytest.fixture
def platform(tmp_path):
    yield from running(tmp_path)


@pytest.fixture
def proxied_platform(tmp_path):
    yield from running(tmp_path, "--trusted-proxies", "127.0.0.1,10.0.0.0/8")


@pytest.fixture
def forge():
    """A git server elsewhere, with `git http-backend`, and the requests that it got."""
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            path, _, query = self.path.partition("?")
            self.server.seen.append(path)
            if path.startswith("/moved/"):
                self.send_response(302)
                self.send_header("Location", "/" + self.path.removeprefix("/moved/"))
                self.send_header("Content-Length", "0")
                return self.end_headers()
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            env = {"PATH": os.environ["PATH"], "GIT_PROJECT_ROOT": str(self.server.folder), "GIT_HTTP_EXPORT_ALL": "1",
                   "PATH_INFO": path, "QUERY_STRING": query, "REQUEST_METHOD": self.command,
                   "CONTENT_TYPE": self.headers.get("Content-Type", ""), "CONTENT_LENGTH": str(len(body)),
                   "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""), "GIT_CONFIG_NOSYSTEM": "1",
                   "HTTP_GIT_PROTOCOL": self.headers.get("Git-Protocol", ""), "GIT_CONFIG_GLOBAL": os.devnull}
            done = subprocess.run(["git", "http-backend"], input=body, capture_output=True, env=env, timeout=60)
            head, _, body = done.stdout.partition(b"\r\n\r\n")
            lines = [line.split(": ", 1) for line in head.decode().splitlines()]
            self.send_response(int(dict(lines).get("Status", "200 OK").split()[0]))
            for name, value in lines:
                if name != "Status":
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.seen, server.address = [], f"127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def linked_platform(tmp_path, forge):
    """A platform that may read the repositories of the forge, and looks at them once an hour."""
    forge.folder = tmp_path / "forge"
    forge.folder.mkdir()
    yield from running(tmp_path, "--allow-repository-host", forge.address, "--repository-poll", "1h")


@pytest.fixture
def polling_platform(tmp_path, forge):
    forge.folder = tmp_path / "forge"
    forge.folder.mkdir()
    yield from running(tmp_path, "--allow-repository-host", forge.address, "--repository-poll", "1s")


class Elsewhere:
    """A repository of the forge, with a working copy."""

    def __init__(self, platform, forge, name):
        self.bare, self.copy = forge.folder / f"{name}.git", platform.folder / f"copy-of-{name}"
        self.url = f"http://{forge.address}/{name}.git"
        git(forge.folder, "init", "-q", "--bare", "-b", "trunk", str(self.bare))
        shutil.copytree(SOURCE, self.copy)
        git(self.copy, "init", "-q", "-b", "trunk")
        self.push()

    def push(self, branch="trunk"):
        (self.copy / "note").write_text(uuid.uuid4().hex)
        git(self.copy, "add", "-A")
        git(self.copy, "commit", "-q", "-m", "change")
        git(self.copy, "push", "-q", str(self.bare), f"HEAD:{branch}")
        return git(self.copy, "rev-parse", "HEAD").stdout.strip()


@pytest.fixture
def small_platform(tmp_path):
    yield from running(tmp_path, "--owner-quota", "8MiB")


@pytest.mark.parametrize("client", CLIENTS)
def test_commands_create_and_manage_an_environment(platform, client):
    alice, bob = Commands(platform, client), Commands(platform, client, key="bob")
    assert alice.json("whoami")["name"] == "alice"
    assert alice.json("create", "shelf", "--description", "A shelf", "--private")["owner"] == "alice"
    assert "alice/shelf" in alice.run("create", "shelf", "--description", "Another", ok=False)
    assert alice.json("get", "alice/shelf")["description"] == "A shelf"
    assert [row["name"] for row in alice.json("list", "--mine")] == ["shelf"]
    bob.run("get", "alice/shelf", ok=False)
    assert bob.json("list", "--owner", "alice") == []
    alice.run("update", "alice/shelf", "--description", "Two shelves", "--public")
    assert bob.json("get", "alice/shelf")["description"] == "Two shelves"
    bob.run("update", "alice/shelf", "--description", "Mine", ok=False)

    (platform.folder / "books").mkdir()
    (platform.folder / "books" / "one.txt").write_text("one")
    alice.run("upload", "alice/shelf", "books", "--dest", "books")
    files = {row["path"]: row["size"] for row in alice.json("files", "alice/shelf")["files"]}
    assert files == {"books/one.txt": 3}
    alice.run("delete-file", "alice/shelf", "books/one.txt")
    assert alice.json("files", "alice/shelf")["files"] == []


@pytest.mark.parametrize("client", CLIENTS)
def test_commands_show_deployments_and_their_logs(platform, client):
    ident, copy = platform.deploy("built")
    alice = Commands(platform, client)
    rows = alice.json("deployments", "alice/built")
    assert [row["status"] for row in rows] == ["deployed"], rows
    assert git(copy, "rev-parse", "HEAD").stdout.strip() == rows[0]["commitSha"]
    logs = alice.run("logs", "alice/built", "--build", "--deployment-id", rows[0]["id"][:8])
    assert logs.strip()
    alice.run("logs", "alice/built", "--build", "--deployment-id", str(uuid.uuid4()), ok=False)


SEVERAL = """
import contextlib, io, json, sys
from openreward import cli
printed = []
for arguments in json.loads(sys.argv[1]):
    sys.argv, out = ["orwd", *arguments], io.StringIO()
    with contextlib.redirect_stdout(out):
        cli.main()
    printed.append(out.getvalue())
print(json.dumps(printed))
"""


def test_both_clients_print_the_same(platform):
    ident, _ = platform.deploy("twice")
    platform.ok("POST", "/v1/environments", {"name": "other", "description": "x" * 70, "isPrivate": True})
    (platform.folder / "data" / "deep").mkdir(parents=True)
    for name, size in (("a.txt", 3), ("b.bin", 5000), ("deep/c.bin", 3 << 20)):
        (platform.folder / "data" / name).write_bytes(b"x" * size)
    rollout = str(uuid.uuid4())
    platform.ok("POST", "/v1/rollouts", {"events": [
        {"eventType": "rollout", "eventId": rollout, "runName": "first", "environment": "alice/twice"},
        {"eventType": "message", "eventId": str(uuid.uuid4()), "rolloutEventId": rollout, "index": 0, "reward": 0.5,
         "type": "assistant_message", "content": "hello"}]})
    run, deployment = platform.ok("GET", "/v1/runs")["runs"][0]["id"], platform.deployments(ident)[0]["id"]
    published, ours, name = Commands(platform, "published"), Commands(platform, "ours"), "alice/twice"
    published.command = [sys.executable, "-c", SEVERAL]

    def compare(asked):
        for arguments, expected in zip(asked, json.loads(published.run(json.dumps(asked)))):
            found = ours.run(*arguments)
            assert found == expected or "-o" in arguments and json.loads(found) == json.loads(expected), arguments

    # The commands that change something first, so that both clients then read the same.
    compare([["files", name]])
    compare([["upload", name, "data/a.txt"], ["upload", name, "data", "--dest", "in", "--concurrency", "1"],
             ["update", name, "--description", "new", "--hf-url", ""], ["update", name, "--max-concurrency", "7", "--max-scale", "3"],
             ["update-link", name, "--cpu-memory", "2:4"], ["link", name, name, "--concurrency", "9"], ["unlink", "alice/other"]])
    # The second link may have come before the first one was built.
    wait(lambda: {d["status"] for d in platform.deployments(ident)} <= {"deployed", "cancelled"})
    asked = [["whoami"], ["list"], ["get", name], ["get", "alice/other"], ["deployments", name], ["logs", name], ["files", name],
             ["runs"], ["run", run], ["rollouts", run], ["logs", name, "--deployment-id", deployment[:8]]]
    compare(asked + [[*arguments, "-o", "json"] for arguments in asked] + [
        ["list", "--mine", "--limit", "1"], ["list", "--search", "none"], ["logs", name, "--build"], ["usage"],
        ["usage", "--daily", "--days", "7"], ["runs", "--search", "none"], ["files", name, "--prefix", "in/"],
        ["logs", name, "--build", "-o", "json"]])
    assert published.run(json.dumps([["delete-file", name, "data/a.txt"], ["delete-file", name, "in/deep", "--folder"]])) == json.dumps(
        ["Deleted 'data/a.txt'\n", "Deleted folder 'in/deep' (1 file)\n"]) + "\n"
    assert ours.run("delete-file", name, "in/a.txt") + ours.run("delete-file", name, "in", "--folder") == (
        "Deleted 'in/a.txt'\nDeleted folder 'in' (1 file)\n")


def test_our_commands_rename_delete_restore_and_open_an_environment(platform):
    alice, bob = Commands(platform, "ours"), Commands(platform, "ours", key="bob")
    alice.run("create", "first", "--description", "d")
    ident = alice.json("get", "alice/first")["id"]
    assert alice.run("rename", "alice/first", "second") == "Renamed alice/first to alice/second\n"
    assert "409" in alice.run("create", "SECOND", "--description", "d", ok=False)
    bob.run("delete", "alice/second", ok=False)
    text = alice.run("delete", "alice/second")
    assert "orwd restore alice/second" in text, text
    alice.run("get", "alice/second", ok=False)
    assert [row["id"] for row in alice.json("deleted")] == [ident] and bob.json("deleted") == []
    assert "may restore" in bob.run("restore", "alice/second", ok=False)
    assert alice.run("restore", "Alice/second") == "Restored alice/second.\n"
    assert alice.json("get", "alice/second")["id"] == ident

    opened = platform.folder / "opened"
    browser = platform.folder / "browser"
    browser.write_text(f'#!/bin/sh\nprintf "%s|%s" "$#" "$1" > {opened}\n')
    browser.chmod(0o755)
    alice.environ["BROWSER"] = str(browser)
    assert alice.run("open", "alice/second") == f"{platform.base}/alice/second\n"
    assert opened.read_text() == f"1|{platform.base}/alice/second"
    opened.unlink()
    assert alice.run("open", "--print") == f"{platform.base}/\n" and not opened.exists()

    # For good, also after it was deleted.
    alice.run("delete", "alice/second")
    assert alice.run("delete", "alice/second", "--for-good") == "Removed alice/second.\n"
    assert alice.run("deleted") == "No deleted environments found.\n"
    alice.run("create", "third", "--description", "d")
    assert alice.run("delete", "alice/third", "--for-good") == "Removed alice/third.\n"
    entries = alice.json("audit", "--search", "GIVEN up")
    assert [row["subject"] for row in entries] == ["alice/third", "alice/second"] and len(alice.json("audit", "--limit", "3")) == 3


def signed(kind, secret, body):
    """The headers of a delivery of a forge."""
    digest = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return {"github": {"X-GitHub-Event": "push", "X-Hub-Signature-256": f"sha256={digest}"},
            "gitlab": {"X-Gitlab-Event": "Push Hook", "X-Gitlab-Token": secret},
            "gitea": {"X-Gitea-Event": "push", "X-GitHub-Event": "push", "X-Gitea-Signature": digest,
                      "X-Hub-Signature-256": f"sha256={digest}"}}[kind]


def test_a_repository_elsewhere_is_deployed_when_its_forge_says_that_it_changed(linked_platform, forge):
    platform, alice = linked_platform, Commands(linked_platform, "ours")
    source = Elsewhere(platform, forge, "source")
    alice.run("create", "far", "--description", "d")
    alice.run("create", "near", "--description", "d")
    ident = alice.json("get", "alice/far")["id"]
    linked = alice.json("link", "alice/far", source.url)["webhook"]
    address, secret = linked["url"].removeprefix(platform.base), linked["secret"]
    head = git(source.copy, "rev-parse", "HEAD").stdout.strip()
    commits = lambda status="deployed": [d["commitSha"] for d in platform.deployments(ident) if d["status"] == status]
    wait(lambda: commits() == [head])
    assert platform.deployments(ident)[0]["gitBranch"] == "trunk"
    assert platform.session("far").commit() == head
    assert alice.json("get", "alice/far")["original_github_url"] == source.url
    # Each forge signs in its way. A delivery that comes twice does no more than one.
    for kind in ("github", "gitlab", "gitea"):
        head, body = source.push(), json.dumps({"ref": "refs/heads/trunk", "pad": "x" * 3_000_000}).encode()
        for _ in range(2):
            assert platform.send("POST", address, body, key=None, headers=signed(kind, secret, body))[0] == 202
        wait(lambda: commits()[:1] == [head])
    assert len(platform.deployments(ident)) == 4
    looked = alice.json("webhook", "alice/far")
    wait(lambda: platform.send("POST", address, b"", key=None, headers=signed("github", secret, b""))[0] == 202
         and alice.json("webhook", "alice/far")["checked_at"] > looked["checked_at"])
    assert len(platform.deployments(ident)) == 4, "nothing was new"
    # A branch that is not the default one, and events of another kind.
    source.push("other")
    assert platform.send("POST", address, b"", key=None, headers=signed("github", secret, b""))[0] == 202
    ping = signed("github", secret, b"") | {"X-GitHub-Event": "ping"}
    assert json.loads(platform.send("POST", address, b"", key=None, headers=ping)[1]) == {"status": "pong"}
    # The secret is shown when it is made, and the database does not have it.
    assert "secret" not in alice.json("webhook", "alice/far") and secret not in platform.log()
    assert all(secret.encode() not in path.read_bytes() for path in (platform.folder / "hub").glob("hub.sqlite*"))
    assert "secret" not in platform.ok("GET", "/v1/github/repos")["repos"][0]

    # Unknown, unlinked and unsigned deliveries get the same reply.
    near, gone = alice.json("get", "alice/near")["id"], str(uuid.uuid4())
    refused = []
    for path, headers in [(address, {}), (address, signed("github", "wrong", b"x")), (address, signed("gitlab", "wrong", b"x")),
                          (address, signed("github", secret, b"y")), (address, signed("gitlab", "", b"x")),
                          (address.replace(ident, near), signed("github", secret, b"x")),
                          (address.replace(ident, gone), signed("github", secret, b"x")),
                          (address, {"X-API-Key": KEYS["alice"]})]:
        refused.append(platform.send("POST", path, b"x", key=None, headers=headers))
    assert {status for status, _ in refused} == {401} and len(set(refused)) == 1, refused
    assert platform.send("POST", address, b"x" * ((25 << 20) + 1), key=None, headers=signed("gitlab", secret, b""))[0] == 413
    # A new secret ends the former one.
    renewed = alice.json("webhook", "alice/far", "--renew")["secret"]
    assert renewed != secret
    assert platform.send("POST", address, b"", key=None, headers=signed("gitlab", secret, b""))[0] == 401
    assert platform.send("POST", address, b"", key=None, headers=signed("gitlab", renewed, b""))[0] == 202

    # Its own repository has nothing that clients see, and what is pushed there is not deployed.
    assert git(source.copy, "ls-remote", platform.remote("far")).stdout == ""
    note = git(source.copy, "push", platform.remote("far"), "trunk:main").stderr
    assert f"deployed from {source.url}" in note, note
    # The published client links it as well, since it is known now, and unlinks it.
    published = Commands(platform, "published")
    published.run("link", "alice/near", source.url)
    wait(lambda: [d for d in platform.deployments(near) if d["status"] == "deployed"])
    published.run("unlink", "alice/far")
    assert platform.send("POST", address, b"", key=None, headers=signed("gitlab", renewed, b""))[0] == 401
    assert "elsewhere" in alice.run("webhook", "alice/far", ok=False)
    assert len(platform.deployments(ident)) == 4


def test_a_repository_elsewhere_is_looked_at_in_intervals(polling_platform, forge):
    platform, alice = polling_platform, Commands(polling_platform, "ours")
    source = Elsewhere(platform, forge, "source")
    alice.run("create", "polled", "--description", "d")
    ident = alice.json("get", "alice/polled")["id"]
    alice.run("link", "alice/polled", source.url)
    deployed = lambda head: [d for d in platform.deployments(ident) if (d["commitSha"], d["status"]) == (head, "deployed")]
    for _ in range(2):
        head = source.push()
        wait(lambda: deployed(head))
    # It is forced back, and deployed again as any other commit.
    git(source.copy, "reset", "-q", "--hard", "HEAD~1")
    git(source.copy, "commit", "-q", "--amend", "-m", "again")
    git(source.copy, "push", "-q", "-f", str(source.bare), "HEAD:trunk")
    head = git(source.copy, "rev-parse", "HEAD").stdout.strip()
    wait(lambda: deployed(head))
    # Only users who may change the environment see that its repository is gone.
    source.bare.rename(source.bare.with_suffix(".gone"))
    wait(lambda: alice.json("webhook", "alice/polled")["problem"])
    assert platform.send("GET", "/v1/orwd/environments/alice/polled/webhook", key="bob")[0] == 403
    assert platform.session("polled").commit() == head
    # A killed platform looks again at its start.
    source.bare.with_suffix(".gone").rename(source.bare)
    platform.process.kill()
    platform.process.wait()
    head = source.push()
    wait(lambda: subprocess.run(["sh", "-c", f"kill -0 {platform.started('control')[-1]} 2>/dev/null"]).returncode != 0)
    platform.start()
    wait(lambda: deployed(head))
    assert alice.json("webhook", "alice/polled")["problem"] is None


def test_a_repository_leads_the_platform_to_no_other_address(linked_platform, forge):
    platform = linked_platform
    Elsewhere(platform, forge, "source")
    ident = platform.ok("POST", "/v1/environments", {"name": "lured", "description": "d"})["id"]
    connect, other = "/v1/github/environments/alice/lured/connect", f"127.0.0.1:{platform.address.split(':')[1]}"
    for url in [f"http://{other}/git/alice/lured.git", f"https://{other}/a", "https://localhost/a", "https://169.254.169.254/latest/a",
                "https://[::1]/a", "https://[::ffff:127.0.0.1]/a", "https://2130706433/a", "https://127.1/a", "file:///etc/passwd",
                f"{platform.folder}/forge/source.git", "ssh://-oProxyCommand=touch%20x/a", "git@127.0.0.1:a", "ext::sh -c true",
                f"http://user:word@{forge.address}/source.git", "--upload-pack=touch x", f"ftp://{forge.address}/a"]:
        status, text = platform.send("POST", connect, {"githubRepoId": url})
        assert status == 400, (url, status, text)
    assert forge.seen == [] and not platform.ok("GET", "/v1/environments/alice/lured")["has_github_connection"]
    # A redirect is not followed, not even to the same host.
    platform.ok("POST", connect, {"githubRepoId": f"http://{forge.address}/moved/source.git"})
    webhook = "/v1/orwd/environments/alice/lured/webhook"
    wait(lambda: platform.ok("GET", webhook)["problem"])
    assert forge.seen and all(path.startswith("/moved/") for path in forge.seen), forge.seen
    assert platform.deployments(ident) == []
    # What a stranger links is not theirs to link.
    assert platform.send("POST", connect, {"githubRepoId": f"http://{forge.address}/source.git"}, key="bob")[0] == 403


def test_the_published_client_plays_an_episode(platform):
    platform.deploy("played")
    script = """
import sys
from openreward import OpenReward
with OpenReward() as client:
    environment = client.environments.get("alice/played")
    task = environment.list_tasks(sys.argv[1])[0]
    with environment.session(task=task) as session:
        print(session.call_tool(sys.argv[2], eval(sys.argv[3])).blocks[0].text)
"""
    split = platform.ok("GET", "/splits", headers={"X-Deployment": "alice/played"})[0]["name"]
    alice = Commands(platform, "published")
    alice.command = [sys.executable, "-c", script]
    assert alice.run(split, CALL["tool"], repr(CALL["input"])).strip()


def test_a_killed_platform_comes_back_with_everything(platform):
    ident, copy = platform.deploy("lasting")
    played = platform.session("lasting")
    first, before, commit = played.call(), platform.deployments(ident), played.commit()
    platform.process.kill()
    platform.process.wait()
    # The processes of the killed one end by themselves, and free the address.
    wait(lambda: subprocess.run(["sh", "-c", f"kill -0 {platform.started('control')[-1]} 2>/dev/null"]).returncode != 0)
    platform.start()
    assert platform.deployments(ident) == before
    wait(played.is_served)
    assert played.call() != first and played.commit() == commit, "the state of the session goes on"
    later = platform.push(ident, "lasting", copy)
    assert platform.session("lasting").commit() == later and played.commit() == commit


def test_killed_control_and_host_processes_are_replaced(platform):
    ident, _ = platform.deploy("replaced")
    played = platform.session("replaced")
    seen = [played.call()]
    [control] = platform.started("control")
    os.kill(control, signal.SIGKILL)
    wait(lambda: len(platform.started("control")) == 2)
    name = platform.deployments(ident)[0]["id"]
    [host] = platform.started(name)
    seen.append(played.call())
    os.kill(host, signal.SIGKILL)
    wait(lambda: len(platform.started(name)) == 2)
    wait(played.is_served)
    seen.append(played.call())
    assert len(set(seen)) == 3, "each call saw the state that the one before left"


def test_a_second_platform_with_the_same_state_is_refused(platform):
    command = [ORWD, "hub", "--state", platform.folder / "hub", "--listen", "127.0.0.1:0"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert done.returncode == 1 and "is in use by another `orwd hub`" in done.stderr, done


# Who may send a request about a private environment of an organisation: nobody, a stranger, a reader, a maintainer, an owner and
# an administrator of the platform, who has no rights in the organisations of others.
ROLES = [None, "bob", "carol", "alice", "dave", "root"]
READ, CHANGE, KEY, GONE = [404, 404, 200, 200, 200, 404], [401, 404, 403, 200, 200, 404], [401] + [200] * 5, [401] + [404] * 5
OWN, ABSENT = [401, 404, 404, 200, 200, 404], [401, 404, 403, 404, 404, 404]


class Browser:
    """The browser of a user, or of nobody."""

    def __init__(self, platform, name):
        self.platform, self.cookie, self.token = platform, "", ""
        if name:
            head = self.send("POST", "/login", {"name": name, "password": PASSWORD})[1]
            self.cookie = head["Set-Cookie"].split(";")[0]
            self.token = re.search(r'name="token" value="(\w+)"', self.send("GET", "/settings")[2])[1]

    def send(self, method, path, form=None):
        """Does not follow redirects, and reads no stream of events."""
        headers = {"Accept": "text/html", "Cookie": self.cookie}
        if method == "POST":
            headers |= {"Origin": self.platform.base, "Content-Type": "application/x-www-form-urlencoded"}
        connection = http.client.HTTPConnection(self.platform.address, timeout=60)
        connection.request(method, path, urllib.parse.urlencode((form or {}) | {"token": self.token}), headers)
        response = connection.getresponse()
        text = "" if response.headers.get_content_type() == "text/event-stream" else response.read().decode()
        connection.close()
        return response.status, response.headers, text


def routes_of(listed, rows):
    """The routes that the requests reach: of those that match, the one with the fewest parameters."""
    reached = set()
    for method, path, *_ in rows:
        fits = []
        for route in listed:
            pattern = re.sub(r"\{\w+\}", "[^/]+", re.sub(r"\{\*\w+\}", ".+", route["path"]))
            if route["method"] in (method, "*") and re.fullmatch(pattern, path.split("?")[0]):
                fits.append((route["path"].count("{"), route["method"], route["path"]))
        reached |= {min(fits)[1:]} if fits else set()
    return reached


# What members of the organisation do on the pages of its environment: see it, change it, look for what is not there.
SEE, EDIT, SEND = [303, 404, 200, 200, 200, 404], [303, 404, 403, 200, 200, 404], [401, 404, 403, 200, 200, 404]
MINE, NONE = [303] + [200] * 5, [303] + [404] * 5


def test_every_route_is_for_those_who_may(platform):
    ident = platform.ok("POST", "/v1/environments", {"name": "secret", "namespace": "acme", "isPrivate": True})["id"]
    name, gone = "/v1/environments/acme/secret", str(uuid.uuid4())
    upload = {"environmentId": ident, "files": [{"fileName": ".orwd/deploy/none.wasm"}]}
    address = platform.ok("POST", "/v1/files/upload-urls", upload)["urls"][0]["uploadUrl"].removeprefix(platform.base)
    deployment = json.loads(platform.send("PUT", address, b"nothing", key=None)[1])["deploymentId"]
    rows = [
        ("GET", "/v1/orwd/routes", None, KEY), ("GET", "/v1/namespace/current", None, KEY), ("POST", "/v1/orwd/login", {}, [400] * 6),
        ("GET", "/v1/environments", None, [200] * 6),
        ("POST", "/v1/environments", {"name": "secret", "namespace": "acme"}, [401, 403, 403, 409, 409, 403]),
        ("GET", name, None, READ), ("GET", f"{name}/variants", None, READ),
        ("GET", f"{name}/required-secrets", None, READ), ("GET", f"{name}/task-difficulty", None, READ),
        ("PUT", f"{name}/details", {"new_description": "x"}, CHANGE),
        ("POST", "/v1/orwd/environments/acme/secret/rollback", {"deployment": gone}, ABSENT),
        ("GET", "/v1/github/auth-status", None, KEY), ("GET", "/v1/github/repos", None, KEY),
        ("POST", "/v1/github/environments/acme/secret/connect", {"githubRepoId": ident}, CHANGE),
        ("GET", "/v1/orwd/environments/acme/secret/webhook", None, ABSENT),
        ("POST", "/v1/orwd/environments/acme/secret/webhook", {}, ABSENT), ("POST", f"/v1/orwd/hooks/{ident}", {}, [401] * 6),
        ("PUT", f"/v1/github/environments/{ident}", {}, CHANGE),
        ("GET", f"/v1/github/environments/{ident}/deployments", None, CHANGE),
        ("GET", f"/v1/github/deployments/{deployment}/logs", None, OWN),
        ("GET", f"/v1/github/deployments/{deployment}/runtime-logs", None, OWN),
        ("GET", f"/v1/github/deployments/{deployment}/task-builds", None, OWN),
        ("GET", f"/v1/github/task-builds/{gone}/logs", None, GONE),
        ("POST", "/v1/files/upload-urls", upload, CHANGE), ("GET", f"/v1/files/{ident}", None, CHANGE),
        ("DELETE", f"/v1/files/{ident}/f", None, ABSENT), ("DELETE", f"/v1/files/{ident}/folder/f", None, ABSENT),
        ("PUT", "/v1/uploads/guess.00", b"x", [403] * 6), ("GET", "/v1/runs", None, KEY), ("GET", f"/v1/runs/{gone}", None, GONE),
        ("GET", f"/v1/runs/{gone}/rollouts", None, GONE), ("POST", "/v1/rollouts", {"events": []}, KEY),
        ("GET", f"/v1/rollouts/{gone}", None, GONE), ("GET", "/v1/billing/api-usage", None, KEY),
        ("POST", "/create_session", {}, GONE), ("GET", "/list_environments", None, GONE),
        ("GET", "/git/acme/secret.git/info/refs?service=git-upload-pack", None, [401, 404, 200, 200, 200, 404]),
        ("GET", "/git/acme/secret.git/info/refs?service=git-receive-pack", None, CHANGE),
        # The second to remove the link finds none.
        ("DELETE", f"/v1/github/environments/{ident}", None, [401, 404, 403, 200, 409, 404]),
        ("GET", "/v1/orwd/deleted", None, KEY), ("GET", "/v1/orwd/audit", None, KEY),
        # The second to delete or restore finds none.
        ("DELETE", "/v1/orwd/environments/acme/secret", None, [401, 404, 403, 200, 404, 404]),
        ("POST", f"/v1/orwd/deleted/{ident}/restore", {}, [401, 404, 404, 200, 404, 404]),
        ("DELETE", f"/v1/orwd/deleted/{gone}", None, GONE),
    ]
    found = []
    for method, path, body, _ in rows:
        statuses = []
        for role in ROLES:
            headers = {"X-Deployment": "acme/secret"}
            if role and path.startswith("/git/"):
                headers["Authorization"] = "Basic " + base64.b64encode(f"git:{KEYS[role]}".encode()).decode()
            statuses.append(platform.send(method, path, body, key=role, headers=headers)[0])
        found.append((method, path, body, statuses))
    assert found == rows
    created = [platform.send("POST", "/v1/environments", {"name": f"by-{role}", "namespace": "acme"}, key=role)[0] for role in ROLES]
    assert created == [401, 403, 403, 200, 200, 403]
    totals = [platform.ok("GET", "/v1/environments?search=secret", key=role)["total"] for role in ROLES]
    assert totals == [0, 0, 1, 1, 1, 0]
    page, form = "/acme/secret", {"minScale": 0, "maxScale": 1, "concurrency": 1, "cpuMemory": "1-4", "private": "yes"}
    pages = [
        ("GET", "/", None, [200] * 6), ("GET", "/static/app.css", None, [200] * 6), ("GET", "/login", None, [200] * 6),
        ("POST", "/login", {"name": "alice", "password": "x" * 1025}, [403] * 6),
        ("GET", "/setup/guess", None, [404] * 6), ("POST", "/setup/guess", {}, [404] * 6),
        ("GET", "/settings", None, MINE), ("POST", "/settings/theme", {"theme": "dark", "next": "/"}, [303] * 6),
        ("GET", "/settings/password", None, MINE), ("POST", "/settings/password", {"current": PASSWORD, "password": "short"}, [401] + [400] * 5),
        ("GET", "/settings/users", None, [303, 403, 403, 403, 403, 200]),
        ("POST", "/settings/users", {"name": "a b"}, [401, 403, 403, 403, 403, 400]),
        ("GET", "/settings/keys", None, MINE), ("POST", "/settings/keys", {"name": ""}, [401] + [400] * 5),
        ("POST", f"/settings/keys/{gone}/revoke", {}, GONE), ("GET", "/new", None, MINE),
        ("POST", "/new", {"owner": "acme", "name": "secret"}, [401, 403, 403, 409, 409, 403]),
        ("GET", "/acme", None, [200] * 6), ("GET", page, None, READ), ("GET", f"{page}/events", None, EDIT),
        ("GET", f"{page}/tasks", None, SEE), ("GET", f"{page}/settings", None, EDIT), ("POST", f"{page}/settings", form, SEND),
        ("GET", f"{page}/repository", None, EDIT), ("POST", f"{page}/repository", {"url": "https://127.0.0.1/a"}, [401, 404, 403, 400, 400, 404]),
        ("POST", f"{page}/repository/webhook", {}, [401, 404, 403, 404, 404, 404]),
        ("POST", f"{page}/repository/unlink", {}, [401, 404, 403, 303, 303, 404]),
        ("POST", f"{page}/rename", {"name": "no"}, [401, 404, 403, 400, 400, 404]),
        ("POST", f"{page}/delete", {"confirm": "secret"}, [401, 404, 403, 400, 400, 404]),
        ("GET", "/settings/deleted", None, MINE), ("GET", "/settings/audit?search=x", None, MINE),
        ("POST", f"/settings/deleted/{gone}/restore", {}, GONE),
        ("POST", f"/settings/deleted/{gone}/remove", {}, GONE),
        ("GET", f"{page}/deployments", None, EDIT), ("GET", f"{page}/deployments/{deployment}", None, EDIT),
        ("GET", f"{page}/deployments/{deployment}/events", None, EDIT),
        ("GET", f"{page}/deployments/{deployment}/compare", None, [303, 404, 403, 409, 409, 404]),
        ("POST", f"{page}/deployments/{deployment}/serve", {}, [401, 404, 403, 409, 409, 404]),
        ("GET", f"{page}/sessions", None, SEE), ("GET", f"{page}/sessions/{deployment}-0/{gone}", None, NONE),
        ("POST", f"{page}/sessions/{deployment}-0/{gone}/fork", {}, GONE),
        ("GET", f"{page}/sessions/{deployment}-0/{gone}/receipt", None, NONE),
        ("GET", f"{page}/sessions/{deployment}-0/{gone}/steps.json", None, NONE),
        ("POST", "/logout", {}, [303] * 6), ("POST", "/settings/sign-out-everywhere", {}, [401] * 6),
    ]
    browsers = [Browser(platform, role) for role in ROLES]
    found = [(method, path, form, [browser.send(method, path, form)[0] for browser in browsers]) for method, path, form, _ in pages]
    assert found == pages
    listed = platform.ok("GET", "/v1/orwd/routes")
    missing = {(route["method"], route["path"]) for route in listed} - routes_of(listed, rows + pages)
    assert not missing, "a route without a row in these tables"


def test_a_deleted_environment_is_gone_at_once_and_can_be_restored(platform):
    ident, copy = platform.deploy("undone")
    played = platform.session("undone")
    first, address = played.call(), "/v1/orwd/environments/alice/undone"
    deployment = platform.deployments(ident)[0]["id"]
    deleted = platform.ok("DELETE", address)
    assert deleted["id"] == ident and deleted["remove_at"] > deleted["deleted_at"]
    for path in ("/v1/environments/alice/undone", f"/v1/github/environments/{ident}/deployments", f"/v1/files/{ident}",
                 f"/v1/github/deployments/{deployment}/logs", "/v1/environments/alice/undone/variants"):
        assert platform.send("GET", path)[0] == 404, path
    assert platform.ok("GET", "/v1/environments")["total"] == 0
    assert platform.ok("GET", "/v1/github/repos")["repos"] == []
    assert platform.send("POST", "/create_session", {}, headers={"X-Deployment": "alice/undone"})[0] == 404
    assert platform.send("GET", "/prompt", headers=played.headers)[0] == 404
    git(copy, "push", platform.remote("undone"), "main", ok=False)
    status, text = platform.send("POST", "/v1/environments", {"name": "Undone"})
    assert status == 409 and "restore it" in text, text
    assert [row["id"] for row in platform.ok("GET", "/v1/orwd/deleted")["environments"]] == [ident]
    assert platform.ok("GET", "/v1/orwd/deleted", key="bob")["environments"] == []

    platform.ok("POST", f"/v1/orwd/deleted/{ident}/restore")
    wait(played.is_served)
    assert played.call() != first, "the session goes on"
    platform.push(ident, "undone", copy)

    # Its owner need not wait for the name and the space.
    used = platform.folder / "hub" / "git" / f"{ident}.git"
    assert used.exists()
    platform.ok("DELETE", address)
    platform.ok("DELETE", f"/v1/orwd/deleted/{ident}")
    assert platform.send("POST", f"/v1/orwd/deleted/{ident}/restore")[0] == 404
    wait(lambda: platform.send("POST", "/v1/environments", {"name": "undone"})[0] == 200)
    assert not used.exists() and platform.deployments(platform.ok("GET", "/v1/environments/alice/undone")["id"]) == []
    entries = platform.ok("GET", "/v1/orwd/audit")["entries"]
    assert [(entry["actor"], entry["action"]) for entry in entries] == [
        ("alice", "created"), ("platform", "removed"), ("alice", "given up"), ("alice", "deleted"), ("alice", "restored"),
        ("alice", "deleted"), ("alice", "created")], entries
    assert platform.ok("GET", "/v1/orwd/audit", key="bob")["entries"] == []


def test_a_former_name_leads_to_its_environment_until_another_takes_it(platform):
    ident, copy = platform.deploy("early")
    played, details = platform.session("early"), "/v1/environments/alice/early/details"
    assert platform.ok("PUT", details, {"new_name": "later"})["name"] == "later"
    assert played.is_served()
    # What reads and what changes reaches the environment itself.
    for client in CLIENTS:
        assert Commands(platform, client).json("get", "alice/early")["name"] == "later"
    assert platform.ok("PUT", details, {"new_description": "x", "new_is_private": True})["name"] == "later"
    later = platform.push(ident, "early", copy)
    assert platform.session("early").commit() == platform.session("later").commit() == later
    pushed = git(copy, "push", "-f", platform.remote("early"), "main:other").stderr
    assert "named alice/later now" in pushed, pushed
    alice = Browser(platform, "alice")
    status, head, _ = alice.send("GET", "/alice/early/settings?x=1")
    assert (status, head["Location"]) == (307, "/alice/later/settings?x=1")
    # Nobody learns from it that there is a private environment.
    for path in ("/v1/environments/alice/early", "/v1/environments/alice/later"):
        assert platform.send("GET", path, key="bob")[0] == platform.send("GET", path, key=None)[0] == 404
    assert Browser(platform, "bob").send("GET", "/alice/early")[0] == 404

    other = platform.ok("POST", "/v1/environments", {"name": "early"})["id"]
    assert platform.ok("GET", "/v1/environments/alice/early")["id"] == other
    assert alice.send("GET", "/alice/early/settings")[0] == 200
    assert platform.send("POST", "/create_session", {}, headers={"X-Deployment": "alice/early"})[0] == 404
    assert git(copy, "ls-remote", platform.remote("early")).stdout == ""
    assert platform.send("PUT", "/v1/environments/alice/later/details", {"new_name": "Early"})[0] == 409


def test_a_repository_stays_small_after_many_pushes(platform):
    ident = platform.ok("POST", "/v1/environments", {"name": "packed"})["id"]
    copy, objects = platform.folder / "packed", platform.folder / "hub" / "git" / f"{ident}.git" / "objects"
    copy.mkdir()
    git(copy, "init", "-q", "-b", "main")

    def packs():
        return sum(name.endswith(".pack") for name in os.listdir(objects / "pack"))

    for number in range(21):
        for file in range(5):
            (copy / f"file{file}").write_text(f"{number} {file}" * 100)
        git(copy, "add", "-A")
        git(copy, "commit", "-q", "-m", "one", *(["--amend"] if number else []))
        git(copy, "push", "-q", "-f", platform.remote("packed"), "main")
    # A push makes a pack and no other objects.
    assert packs() == 21 and sorted(os.listdir(objects)) == ["info", "pack"]
    # The upkeep has a round when something is to be removed now.
    spare = platform.ok("POST", "/v1/environments", {"name": "spare"})["id"]
    platform.ok("DELETE", "/v1/orwd/environments/alice/spare")
    platform.ok("DELETE", f"/v1/orwd/deleted/{spare}")
    wait(lambda: git(copy, "ls-remote", platform.remote("packed")).stdout and packs() <= 2)
    git(platform.folder, "clone", "-q", platform.remote("packed"), "again")
    assert (platform.folder / "again" / "file4").read_text() == "20 4" * 100
    (copy / "file0").write_text("after")
    git(copy, "commit", "-q", "-a", "-m", "two")
    git(copy, "push", "-q", platform.remote("packed"), "main")


def test_a_trusted_proxy_names_the_client(proxied_platform):
    def logged(forwarded):
        ident = uuid.uuid4().hex
        proxied_platform.ok("GET", "/v1/namespace/current", headers={"X-Request-ID": ident} | forwarded)
        wait(lambda: ident in proxied_platform.log())
        return re.search(rf"address=(\S+).*{ident}|{ident}.*address=(\S+)", proxied_platform.log()).group(2)

    assert logged({}) == "127.0.0.1"
    assert logged({"X-Forwarded-For": "198.51.100.1, 203.0.113.9, 10.1.1.1"}) == "203.0.113.9"
    assert logged({"Forwarded": 'for="[2001:db8::1]:80"'}) == "2001:db8::1"
    assert logged({"X-Forwarded-For": "203.0.113.9", "Forwarded": "for=198.51.100.1"}) == "127.0.0.1"


def test_a_request_has_a_line_in_the_log_and_an_id(platform):
    headers = {"X-API-Key": KEYS["alice"], "X-Request-ID": "my-id", "X-Forwarded-For": "203.0.113.9"}
    request = urllib.request.Request(platform.base + "/v1/namespace/current", headers=headers)
    with urllib.request.urlopen(request) as response:
        assert response.headers["X-Request-ID"] == "my-id"
    wait(lambda: "my-id" in platform.log())
    [line] = [line for line in platform.log().splitlines() if "my-id" in line]
    for part in ("address=127.0.0.1", 'key="alice"', "status=200", "path=/v1/namespace/current"):
        assert part in line, line


def test_readiness_is_that_of_the_supervisor_and_the_database(platform):
    assert platform.ok("GET", "/ready", key=None) == {"status": "ready"}
    os.kill(platform.process.pid, signal.SIGSTOP)
    try:
        wait(lambda: platform.send("GET", "/ready", key=None)[0] == 503)
        status, text = platform.send("GET", "/ready", key=None)
        assert status == 503 and "supervisor" in text, text
        assert platform.send("GET", "/health", key=None)[0] == 200
    finally:
        os.kill(platform.process.pid, signal.SIGCONT)
    wait(lambda: platform.send("GET", "/ready", key=None)[0] == 200)
    database = sqlite3.connect(platform.folder / "hub" / "hub.sqlite", isolation_level=None)
    database.execute("BEGIN IMMEDIATE")
    wait(lambda: platform.send("GET", "/ready", key=None)[0] == 503)
    # Reading goes on.
    platform.ok("GET", "/v1/namespace/current")
    database.execute("ROLLBACK")
    wait(lambda: platform.send("GET", "/ready", key=None)[0] == 200)


def test_an_orderly_stop_tells_probes_and_warns_of_nothing(platform):
    platform.deploy("stopped")
    host, port = platform.address.split(":")
    # A request that takes the time until the stop is seen.
    with socket.create_connection((host, int(port))) as running:
        running.sendall(b"POST /v1/environments HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nX-API-Key: "
                        + KEYS["alice"].encode() + b"\r\n\r\n{")
        platform.ok("GET", "/ready", key=None)
        platform.process.terminate()
        wait(lambda: platform.send("GET", "/ready", key=None)[0] == 503, seconds=8)
        running.sendall(b"}")
        assert b" 400 " in running.recv(100)
    platform.process.wait(90)
    log = platform.log().split("platform stopping")[1]
    assert "process stopped" in log and "WARN" not in log and "ERROR" not in log, log


def test_everything_that_is_kept_is_charged_to_one_quota(small_platform):
    platform = small_platform
    ident, copy = platform.deploy("kept")
    events = [{"eventType": "rollout", "eventId": "r", "runName": "run", "environment": "alice/kept"}]
    full = "disk quota exceeded: alice"

    def put(path, size):
        files = {"environmentId": ident, "files": [{"fileName": path}]}
        address = platform.ok("POST", "/v1/files/upload-urls", files)["urls"][0]["uploadUrl"]
        connection = http.client.HTTPConnection(platform.address, timeout=60)
        connection.putrequest("PUT", address.removeprefix(platform.base))
        connection.putheader("Content-Length", str(size))
        connection.endheaders()
        # A refusal comes before the body, and the connection is closed.
        if size <= 1 << 20:
            connection.send(b"x" * size)
        response = connection.getresponse()
        text = response.read().decode()
        connection.close()
        return response.status, text

    status, text = put("large", 9 << 20)
    assert status == 413 and "file store is full" in text, text
    assert put("small", 100)[0] == 200
    for number in range(9):
        events.append({"eventType": "message", "eventId": f"m{number}", "rolloutEventId": "r", "index": number,
                       "type": "user_message", "content": "x" * (1 << 20)})
        status, text = platform.send("POST", "/v1/rollouts", {"events": events})
        if status != 200:
            break
        events.clear()
    assert status == 403 and full in text, text
    (copy / "more").write_bytes(os.urandom(2 << 20))
    git(copy, "add", "-A")
    git(copy, "commit", "-q", "-m", "more")
    # Nearly full: what would exceed the quota is refused, whatever it is.
    git(copy, "push", "-q", platform.remote("kept"), "main", ok=False)
    assert put("more", 2 << 20)[0] == 413
    assert put(".orwd/deploy/kept.wasm", 2 << 20)[0] == 413
    # Fill the rest, so that nothing is left.
    for size in (1 << 19, 1 << 17, 1 << 15, 1 << 13, 1 << 11, 1 << 9):
        while put(uuid.uuid4().hex, size)[0] == 200:
            pass
    while put(uuid.uuid4().hex, 1)[0] == 200:
        pass
    platform.ok("POST", "/v1/github/environments/alice/kept/connect", {"githubRepoId": ident})
    wait(lambda: platform.deployments(ident)[0]["status"] == "failed")
    assert "disk quota exceeded" in platform.deployments(ident)[0]["error"]
    status, text = platform.send("POST", "/create_session", {}, headers={"X-Deployment": "alice/kept"})
    assert status == 403 and full in text, text
    # Others are not affected.
    platform.ok("POST", "/v1/rollouts", {"events": [{"eventType": "rollout", "eventId": "r", "runName": "run"}]}, key="bob")
    platform.ok("POST", "/v1/environments", {"name": "other"}, key="bob")


def test_clients_that_send_nothing_shut_nobody_out(platform):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    host, port = platform.address.split(":")
    stalled = []
    try:
        for _ in range(4200):
            connection = socket.create_connection((host, int(port)), timeout=10)
            connection.sendall(b"POST /v1/orwd/login HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{")
            stalled.append(connection)
        start = time.monotonic()
        for _ in range(20):
            platform.ok("GET", "/v1/namespace/current")
        body = {"name": "alice", "password": PASSWORD, "key_name": "beside"}
        assert platform.send("POST", "/v1/orwd/login", body, key=None)[0] == 200
        assert time.monotonic() - start < 10
    finally:
        for connection in stalled:
            connection.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_sessions_and_repositories_belong_to_their_owner(platform):
    _, copy = platform.deploy("owned")
    git(copy, "ls-remote", platform.remote("owned"))
    git(copy, "ls-remote", platform.remote("owned", "bob"), ok=False)
    git(copy, "push", platform.remote("owned", "bob"), "main", ok=False)
    played = platform.session("owned")
    forged = played.headers | {"X-Orwd-Principal": "alice", "X-Orwd-Proxy-Key": "guess"}
    assert platform.send("GET", "/prompt", key="alice", headers=played.headers)[0] == 200
    assert platform.send("GET", "/prompt", key="bob", headers=forged)[0] == 404
    assert platform.send("GET", "/prompt", key=None, headers=forged)[0] == 401


def test_a_password_gives_a_key_and_no_secret_is_kept(platform):
    body = {"name": "alice", "password": PASSWORD, "key_name": "laptop"}
    assert platform.send("POST", "/v1/orwd/login", body | {"password": "wrong"}, key=None)[0] == 401
    key = platform.ok("POST", "/v1/orwd/login", body, key=None)["key"]
    assert platform.ok("GET", "/v1/namespace/current?type=user", key=key)["name"] == "alice"
    assert platform.send("POST", "/v1/orwd/login", body, key=None)[0] == 409
    kept = b"".join(f.read_bytes() for f in (platform.folder / "hub").glob("hub.sqlite*")) + platform.log().encode()
    for secret in (key, PASSWORD, KEYS["alice"]):
        assert secret.encode() not in kept
