// A platform under test, git, and a plain client of sessions.
import { execFile, spawn } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { devNull } from "node:os";
import { createInterface } from "node:readline";
import { promisify } from "node:util";

const run = promisify(execFile);

/** Starts a platform. Returns its address, what it printed, and a function that stops it. */
export async function platform(state, accounts) {
  mkdirSync(state, { recursive: true });
  const args = ["hub", "--state", `${state}/hub`, "--listen", "127.0.0.1:0", "--allow-repository-host", "127.0.0.1:9"];
  if (accounts) {
    writeFileSync(`${state}/accounts.toml`, accounts);
    args.push("--bootstrap", `${state}/accounts.toml`);
  }
  const child = spawn(process.env.ORWD_BIN, args, { stdio: ["ignore", "pipe", "pipe"] });
  // A walk that fails leaves nothing running.
  process.on("exit", () => child.kill("SIGKILL"));
  let log = "";
  child.stderr.on("data", (data) => { log += data; });
  const lines = createInterface({ input: child.stdout });
  const printed = [];
  const listening = new Promise((resolve, reject) => {
    child.on("exit", (code) => reject(new Error(`the platform ended with ${code}: ${log}`)));
    lines.on("line", (line) => {
      printed.push(line);
      const found = line.match(/^orwd is listening on (\S+)$/);
      if (found) setTimeout(() => resolve(found[1]), 100);
    });
  });
  const base = await listening;
  const stop = () => new Promise((resolve) => { child.on("exit", resolve); child.kill("SIGTERM"); });
  return { base, printed, stop, log: () => log };
}

export async function git(folder, ...args) {
  const env = { ...process.env, GIT_CONFIG_GLOBAL: devNull, GIT_CONFIG_NOSYSTEM: "1", GIT_TERMINAL_PROMPT: "0" };
  for (const who of ["AUTHOR", "COMMITTER"]) {
    env[`GIT_${who}_NAME`] = "t";
    env[`GIT_${who}_EMAIL`] = "t@example.org";
  }
  return (await run("git", args, { cwd: folder, env })).stdout;
}

/** Begins an episode over plain HTTP, as the protocol has it. */
export async function episode(base, key, name, task) {
  const send = async (path, body, session) => {
    const headers = { "X-API-Key": key, "X-Deployment": name, "Content-Type": "application/json" };
    if (session) headers["X-Session-ID"] = session;
    const response = await fetch(base + path, { method: "POST", headers, body: JSON.stringify(body) });
    const text = await response.text();
    if (!response.ok) throw new Error(`${path}: ${response.status} ${text}`);
    return text;
  };
  const id = (await send("/create_session", {})).match(/data: (\S+)/)[1];
  await send("/create", task, id);
  const headers = { "X-API-Key": key, "X-Session-ID": id };
  await (await fetch(`${base}/prompt`, { headers })).text();
  return {
    id,
    call: (tool, input) => send("/call", { name: tool, input }, id),
    end: async () => { await send("/delete", {}, id); await send("/delete_session", {}, id); },
  };
}
