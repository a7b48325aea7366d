// The pages of the platform, as people use them. Every text that a stranger may
// choose is hostile here: HOSTILE would open a dialog if it were ever more than text.
import assert from "node:assert/strict";
import { copyFileSync, mkdirSync, writeFileSync } from "node:fs";
import { browser, look, person, problems } from "./browser.mjs";
import { episode, git, platform } from "./platform.mjs";

const state = process.env.STATE;
const HOSTILE = `<script>alert(1)</script><img src=x onerror="alert(2)">'"><svg onload=alert(3)>`;
const PASSWORD = "a sentence that is long enough";

const began = Date.now();
const say = (text) => console.log(`${((Date.now() - began) / 1000).toFixed(1)} s: ${text}`);

/** Sends a form as another site would. */
async function forge(page, path, fields, headers = {}) {
  const cookies = await page.context().cookies();
  const cookie = cookies.map(({ name, value }) => `${name}=${value}`).join("; ");
  const response = await fetch(new URL(path, page.url()), {
    method: "POST", redirect: "manual", body: new URLSearchParams(fields),
    headers: { cookie, accept: "text/html", ...headers },
  });
  return response.status;
}

async function firstSignIn() {
  const hub = await platform(`${state}/fresh`);
  const link = hub.printed.join("\n").match(/sign in for the first time at (\S+)/)[1];
  const page = await person(hub.base);
  await page.goto("/");
  await look(page, "empty-catalogue");
  await page.goto("/login");
  await look(page, "sign-in");
  assert.equal((await page.goto(`${link}x`)).status(), 404, "a wrong link");
  await page.goto(link);
  await look(page, "set-up");
  await page.fill("#password", "short-and-different");
  await page.fill("#again", "another password");
  await page.click("main button");
  await page.getByRole("alert").waitFor();
  await page.fill("#password", PASSWORD);
  await page.fill("#again", PASSWORD);
  await page.click("main button");
  await page.getByRole("link", { name: "admin" }).waitFor();
  assert.equal((await page.goto(link)).status(), 404, "the link works once");
  assert.ok(!hub.log().includes(link.split("/setup/")[1]), "the log has no secret of the link");
  await page.goto("/");
  await look(page, "empty-catalogue-signed-in");
  await hub.stop();
  say("the first administrator signed in");
}

async function signIn(page, name, password = PASSWORD) {
  await page.goto("/login");
  await page.fill("#name", name);
  await page.fill("#password", password);
  await page.click("main button");
}

async function team() {
  const user = (name) => `[[users]]\nname = "${name}"\npassword = "${PASSWORD}"\nadmin = ${name === "alice"}\n`;
  const accounts = `${user("alice")}${user("bob")}[[organisations]]\nname = "acme"\nmembers = { alice = "maintainer", bob = "reader" }\n`;
  const hub = await platform(`${state}/team`, accounts);
  const alice = await person(hub.base);

  // A page that needs a session leads to the sign-in, and back.
  await alice.goto("/new?x=1");
  assert.equal(new URL(alice.url()).pathname, "/login");
  await alice.fill("#name", "alice");
  await alice.fill("#password", "wrong password");
  await alice.click("main button");
  await alice.getByText("The name or the password is wrong.").waitFor();
  await alice.fill("#password", PASSWORD);
  await alice.click("main button");
  await alice.waitForURL("**/new?x=1");
  const [cookie] = (await alice.context().cookies()).filter(({ name }) => name.includes("session"));
  assert.deepEqual([cookie.httpOnly, cookie.sameSite], [true, "Lax"]);
  for (const next of ["https://evil.example/", "//evil.example/", "/\\evil.example/"]) {
    const away = await person(hub.base);
    await away.goto(`/login?next=${encodeURIComponent(next)}`);
    assert.equal(await away.locator("input[name=next]").first().inputValue(), "/", next);
    await away.context().close();
  }
  say("signed in");

  // A private environment, with a hostile description.
  await alice.goto("/new");
  await look(alice, "new-environment");
  await alice.fill("#name", "no");
  await alice.locator("#name").evaluate((input) => { input.removeAttribute("minlength"); input.removeAttribute("pattern"); });
  await alice.click("main button.main");
  await alice.getByRole("alert").waitFor();
  await look(alice, "new-environment-refused");
  await alice.fill("#name", "walk");
  await alice.fill("#description", `An environment to walk through. ${HOSTILE}`);
  await alice.check("#private");
  await alice.click("main button.main");
  await alice.getByText("Waiting for your first push").waitFor();
  await look(alice, "waiting");
  say("created");

  // A key, which is shown once.
  const settings = await alice.context().newPage();
  await settings.goto("/settings");
  await settings.fill("#key-name", `laptop ${HOSTILE}`.slice(0, 64));
  await settings.click("form[action='/settings/keys'] button");
  await settings.getByText("Your new API key").waitFor();
  const key = (await settings.locator(".note pre").first().textContent()).trim();
  assert.match(key, /^orwd_[0-9a-f]{64}$/);
  await look(settings, "account-new-key");
  await settings.goto("/settings/keys");
  await settings.getByRole("heading", { name: "API keys" }).waitFor();
  assert.ok(!(await settings.content()).includes(key), "the key is shown once");

  // The first push. The page that waits notices it, and shows the build.
  const source = `${state}/source`;
  mkdirSync(source);
  copyFileSync(process.env.ENV_COMPONENT, `${source}/alpha.wasm`);
  writeFileSync(`${source}/orwd.toml`, 'name = "alpha"\nsecrets = ["K"]\n');
  writeFileSync(`${source}/README.md`,
    `# Walk\n\nA README with *marks*, \`code\` and a [link](https://example.org).\n\n- one\n- two\n\n${HOSTILE}\n\n[x](javascript:alert(4))\n\n| a | b |\n|---|---|\n| 1 | 2 |\n`);
  const remote = hub.base.replace("http://", `http://git:${key}@`) + "/git/alice/walk.git";
  await git(source, "init", "-q", "-b", "main");
  await git(source, "add", "-A");
  await git(source, "commit", "-q", "-m", HOSTILE);
  await git(source, "push", "-q", remote, "main");
  await alice.waitForURL("**/deployments/*");
  await alice.getByText("served", { exact: true }).waitFor();
  assert.match(await alice.locator(".log").textContent(), /admitting the environment in the root[\s\S]*deployed/);
  await look(alice, "deployment");
  say("pushed and deployed, and the page followed");

  // A push that fails changes nothing, and says why.
  writeFileSync(`${source}/orwd.toml`, `name = "alpha"\nnmae = "x"\n`);
  await git(source, "commit", "-q", "-a", "-m", "broken");
  await git(source, "push", "-q", remote, "main");
  await alice.goto("/alice/walk/deployments");
  await alice.locator("tbody tr").nth(1).waitFor();
  await alice.locator("tbody tr a").first().click();
  await alice.locator(".note.bad").waitFor();
  await look(alice, "deployment-failed");
  await alice.goto("/alice/walk/deployments");
  await look(alice, "deployments");

  // The card.
  await alice.goto("/alice/walk");
  await alice.getByRole("heading", { name: "Use it" }).waitFor();
  assert.equal(await alice.locator("article a[href^='javascript']").count(), 0);
  assert.ok((await alice.locator("article").textContent()).includes("<script>alert(1)</script>"), "HTML is text");
  await alice.getByText("echo", { exact: true }).click();
  await look(alice, "environment");
  await alice.goto("/alice/walk/tasks");
  await alice.getByText("train-0").waitFor();
  await look(alice, "tasks");
  await alice.goto("/alice/walk/sessions");
  await alice.getByText("You have no sessions here yet").waitFor();
  await look(alice, "sessions-empty");

  // An episode by a plain client, all of it hostile.
  const played = await episode(hub.base, key, "alice/walk", { task_spec: { id: HOSTILE } });
  await played.call("echo", { text: HOSTILE });
  await played.call("reward", { reward: 0.25 });
  await played.call("echo", { text: "a long text\n".repeat(300) });
  await played.call("image", {});
  await played.call("fail", { message: HOSTILE });
  await played.call("reward", { reward: -0.5 });
  await played.call("bump", { by: 2 });
  await played.call("finish", { reward: 1 });
  const ended = await episode(hub.base, key, "alice/walk", { split: "train", index: 0 });
  await ended.call("finish", { reward: 1 });
  await ended.end();
  const hasEnded = () => alice.getByRole("heading", { name: "Ended" }).isVisible();
  for (let tries = 0; tries < 50 && !(await hasEnded()); tries += 1) await alice.reload();
  assert.ok(await hasEnded(), await alice.locator("main").textContent());
  await look(alice, "sessions");
  await alice.getByRole("link", { name: played.id }).click();
  await alice.getByText("+1").waitFor();
  await look(alice, "episode");
  assert.ok((await alice.locator(".steps").textContent()).includes(`task ${HOSTILE}`), "the prompt is text");
  assert.equal(await alice.locator(".steps img, .steps script, .steps svg").count(), 0);
  assert.equal(await alice.locator(".plot circle").count(), 3);
  await alice.keyboard.press("j");
  await alice.keyboard.press("j");
  assert.match(alice.url(), /#r\d+$/);
  const permalink = alice.url();
  await alice.goto("/");
  await alice.goto(permalink);
  await alice.locator(".step:target").waitFor();
  say("played, and looked at the transcript");

  // A fork after the second call goes on by itself.
  const transcript = alice.url().split("#")[0];
  await alice.getByRole("button", { name: "fork from here, after call 2" }).click();
  await alice.getByText("It shares the first 2 calls with this one.").waitFor();
  await look(alice, "episode-forked");
  const child = await alice.locator(".note ul a").textContent();
  const forked = await fetch(`${hub.base}/call`, {
    method: "POST", body: JSON.stringify({ name: "bump", input: { by: 1 } }),
    headers: { "X-API-Key": key, "X-Session-ID": child, "Content-Type": "application/json" },
  });
  assert.match(await forked.text(), /event: end/);
  await alice.locator(".note ul a").click();
  await alice.getByText("bump").first().waitFor();
  const request = alice.context().request;
  const receipt = await request.get(`${transcript}/receipt`, { headers: { accept: "text/html" } });
  assert.match(receipt.headers()["content-disposition"], /^attachment/);
  assert.ok((await receipt.json()).signature, "a signed receipt");
  const steps = await request.get(`${transcript}/steps.json`, { headers: { accept: "text/html" } });
  assert.ok((await steps.json()).length >= 9, "all steps");
  say("forked, and took the receipt and the steps");

  // Settings, and a second version to roll back from.
  await alice.goto("/alice/walk/settings");
  await look(alice, "settings");
  await alice.fill("#maxScale", "101");
  await alice.click("main button.main");
  await alice.getByText("maxScale is 101").waitFor();
  await alice.fill("#maxScale", "3");
  await alice.click("main button.main");
  await alice.getByText("Saved.").waitFor();
  writeFileSync(`${source}/orwd.toml`, 'name = "alpha"\nsecrets = ["K", "L"]\n');
  await git(source, "commit", "-q", "-a", "-m", "second");
  await git(source, "push", "-q", remote, "main");
  await alice.goto("/alice/walk/deployments");
  await alice.locator("tbody tr a").first().click();
  await alice.getByText("served", { exact: true }).waitFor();
  await alice.goto("/alice/walk/deployments");
  await alice.getByRole("button", { name: /^Roll back to/ }).click();
  await alice.locator("tbody tr").nth(2).getByText("served", { exact: true }).waitFor();
  say("rolled back");

  // What changed from one version to the next.
  await alice.locator("tbody tr a").first().click();
  await alice.getByRole("link", { name: "What changed" }).click();
  await alice.getByText('+ secrets = ["K", "L"]').waitFor();
  await alice.getByText("secret L").first().waitFor();
  assert.equal(await alice.getByText("No difference.").count(), 1, "the tools are the same");
  await look(alice, "compare");

  // A repository elsewhere, of which nothing can be read.
  await alice.goto("/alice/walk/settings");
  await alice.getByRole("link", { name: "Repository and webhook" }).click();
  await alice.getByText("Pushes to the default branch").waitFor();
  await alice.fill("#url", "https://127.0.0.1/a.git");
  await alice.getByRole("button", { name: "Link", exact: true }).click();
  await alice.getByText("has no public address").waitFor();
  await look(alice, "repository-refused");
  await alice.fill("#url", "http://127.0.0.1:9/a.git");
  await alice.getByRole("button", { name: "Link", exact: true }).click();
  const shownSecret = async () => (await alice.locator(".note pre").first().textContent()).trim();
  await alice.getByText("The secret of the webhook").waitFor();
  const webhookSecret = await shownSecret();
  assert.match(webhookSecret, /^[0-9a-f]{64}$/);
  await look(alice, "repository-secret");
  await alice.getByRole("button", { name: "New webhook secret" }).click();
  await alice.waitForURL("**/repository/webhook");
  assert.notEqual(await shownSecret(), webhookSecret);
  do {
    await alice.goto("/alice/walk/repository");
  } while (!(await alice.getByText("It could not be read").count()));
  assert.ok(!(await alice.content()).includes(webhookSecret), "the secret is shown once");
  await look(alice, "repository");
  await alice.getByRole("button", { name: "Remove the link" }).click();
  await alice.getByText("None: components that are uploaded").waitFor();
  say("linked a repository elsewhere");

  // Nobody else sees the private environment, and its absence looks the same.
  const stranger = await person(hub.base);
  assert.equal((await stranger.goto("/alice/walk")).status(), 404);
  await look(stranger, "not-found");
  const bob = await person(hub.base);
  await signIn(bob, "bob");
  await bob.getByRole("link", { name: "bob" }).waitFor();
  const shown = {};
  for (const name of ["walk", "none"]) {
    for (const path of ["", "/tasks", "/sessions", "/settings", "/deployments", "/events"]) {
      assert.equal((await bob.goto(`/alice/${name}${path}`)).status(), 404, path);
    }
    shown[name] = (await bob.locator("main").textContent()).replaceAll(name, "");
  }
  assert.equal(shown.walk, shown.none);
  assert.equal((await bob.goto(transcript)).status(), 404, "a session of another");
  assert.equal((await bob.goto("/?search=walk")).status(), 200);
  assert.equal(await bob.locator(".list").count(), 0);
  await look(bob, "search-without-result");
  // What is public is seen, and not changed.
  await alice.goto("/alice/walk/settings");
  await alice.uncheck("#private");
  await alice.click("main button.main");
  await alice.getByText("Saved.").waitFor();
  assert.equal((await bob.goto("/alice/walk")).status(), 200);
  assert.equal((await bob.goto("/alice/walk/settings")).status(), 403);
  await look(bob, "forbidden");
  assert.equal((await bob.goto(transcript)).status(), 404, "a session of another");

  // Forms of other sites and old pages are refused.
  const token = await bob.locator("input[name=token]").first().inputValue();
  const origin = { origin: hub.base };
  assert.equal(await forge(bob, "/settings/keys", { name: "x", token }), 403, "no origin");
  assert.equal(await forge(bob, "/settings/keys", { name: "x", token }, { origin: "https://evil.example" }), 403);
  assert.equal(await forge(bob, "/settings/keys", { name: "x", token }, { origin: "null" }), 403);
  assert.equal(await forge(bob, "/settings/keys", { name: "x" }, origin), 403, "no token");
  const theirs = await alice.locator("input[name=token]").first().inputValue();
  assert.equal(await forge(bob, "/settings/keys", { name: "x", token: theirs }, origin), 403, "another's token");
  assert.equal(await forge(bob, "/settings/keys", { name: "x", token }, origin), 200, "the check itself passes");
  assert.equal(await forge(bob, "/alice/walk/settings", { token, minScale: 0, maxScale: 1, concurrency: 1, cpuMemory: "1-1" }, origin), 403);
  const head = (await request.get("/", { headers: { accept: "text/html" } })).headers();
  assert.match(head["content-security-policy"], /frame-ancestors 'none'/);
  assert.equal(head["x-frame-options"], "DENY");
  say("others and forgeries were refused");

  // A cookie is no API key, and an API key no cookie.
  const cookies = `${cookie.name}=${cookie.value}`;
  assert.equal((await fetch(`${hub.base}/v1/namespace/current`, { headers: { cookie: cookies } })).status, 401);
  const page = await fetch(`${hub.base}/settings`, { redirect: "manual", headers: { accept: "text/html", authorization: `Bearer ${key}` } });
  assert.notEqual(page.status, 200);

  // An administrator adds a user, who chooses a password by a link.
  await alice.goto("/settings");
  await look(alice, "account");
  await alice.getByRole("link", { name: "Users of this platform" }).click();
  await alice.fill("#user-name", HOSTILE.slice(0, 60));
  await alice.getByRole("button", { name: "Create user" }).click();
  await alice.getByRole("alert").waitFor();
  await alice.fill("#user-name", "dave");
  await alice.getByRole("button", { name: "Create user" }).click();
  const link = (await alice.locator(".note pre").textContent()).trim();
  await look(alice, "users");
  const dave = await person(hub.base);
  await dave.goto(link);
  await dave.fill("#password", PASSWORD);
  await dave.fill("#again", PASSWORD);
  await dave.click("main button");
  await dave.getByRole("link", { name: "dave" }).waitFor();
  assert.equal((await stranger.goto(link)).status(), 404, "the link works once");
  assert.equal((await dave.goto("/settings/users")).status(), 403);
  const daves = await dave.locator("input[name=token]").first().inputValue();
  assert.equal(await forge(dave, "/settings/users", { name: "alice", again: "yes", token: daves }, origin), 403);
  say("a new user signed in");

  // A new name. Addresses with the old one go on.
  await alice.goto("/alice/walk/settings");
  await alice.fill("#new-name", "walked");
  await alice.getByRole("button", { name: "Rename" }).click();
  await alice.waitForURL("**/alice/walked/settings");
  await alice.goto("/settings/audit");
  await alice.fill("input[name=search]", "RENAMED to alice/walked");
  await alice.click("main form button");
  await alice.waitForURL("**/settings/audit?search=*");
  await alice.locator("tbody tr").first().waitFor();
  assert.equal(await alice.locator("tbody tr").count(), 1);
  await look(alice, "audit");
  await alice.goto("/alice/walk/tasks?from=0");
  assert.equal(new URL(alice.url()).pathname, "/alice/walked/tasks");
  // It is deleted by its typed name only, and restored.
  await alice.goto("/alice/walked/settings");
  await alice.fill("#confirm", "walked");
  await alice.getByRole("button", { name: "Delete" }).click();
  await alice.getByText("Nothing was deleted").waitFor();
  await look(alice, "delete-refused");
  await alice.fill("#confirm", "alice/walked");
  await alice.getByRole("button", { name: "Delete" }).click();
  await alice.waitForURL("**/settings/deleted");
  await look(alice, "deleted");
  assert.equal((await bob.goto("/alice/walked")).status(), 404);
  await bob.goto("/settings/deleted");
  await bob.getByText("There is none that you can restore").waitFor();
  await alice.getByRole("button", { name: "Restore alice/walked" }).click();
  await alice.waitForURL("**/alice/walked");
  await alice.getByRole("heading", { name: "Use it" }).waitFor();
  say("renamed, deleted and restored");

  // The colours, the key's end, and that of all sessions.
  await alice.goto("/");
  await look(alice, "catalogue");
  await alice.getByRole("button", { name: "dark" }).click();
  assert.equal(await alice.locator("html").getAttribute("data-theme"), "dark");
  await alice.goto("/settings");
  await alice.getByRole("button", { name: /^Revoke laptop/ }).click();
  await alice.getByText("You have no keys.").waitFor();
  assert.equal((await fetch(`${hub.base}/v1/namespace/current`, { headers: { "X-API-Key": key } })).status, 401);
  const other = await person(hub.base);
  await signIn(other, "alice");
  await other.getByRole("link", { name: "alice", exact: true }).waitFor();
  await alice.getByRole("button", { name: "Sign out everywhere" }).click();
  await alice.waitForURL("**/login");
  await other.goto("/settings");
  assert.equal(new URL(other.url()).pathname, "/login");
  await hub.stop();
  say("signed out everywhere");
}

try {
  await firstSignIn();
  await team();
} finally {
  await browser.close();
}
assert.deepEqual(problems, []);
say("the walk is complete");
