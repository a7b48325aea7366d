// What pages do with JavaScript; without it they work as well.

// Copies the text of a code block.
for (const block of document.querySelectorAll(".code")) {
  const button = block.querySelector("button.copy");
  if (!navigator.clipboard || !button) continue;
  button.hidden = false;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(block.querySelector("pre").textContent);
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = "Copy"; }, 2000);
  });
}

// Appends to a log while a deployment runs, and loads the page again at its end.
for (const log of document.querySelectorAll("[data-log]")) {
  const events = new EventSource(log.dataset.log);
  events.addEventListener("log", (event) => {
    const follows = log.scrollTop + log.clientHeight >= log.scrollHeight - 8;
    log.append(JSON.parse(event.data));
    if (follows) log.scrollTop = log.scrollHeight;
  });
  events.addEventListener("status", (event) => {
    const badge = document.querySelector("[data-status]");
    if (badge) badge.textContent = JSON.parse(event.data);
  });
  events.addEventListener("end", () => { events.close(); location.reload(); });
}

// Waits for the first deployment.
for (const waiting of document.querySelectorAll("[data-wait]")) {
  const events = new EventSource(waiting.dataset.wait);
  events.addEventListener("deployment", (event) => {
    events.close();
    location.assign(JSON.parse(event.data));
  });
}

// Steps through a transcript with j and k.
const steps = [...document.querySelectorAll(".step")];
if (steps.length > 0) {
  let at = steps.findIndex((step) => "#" + step.id === location.hash);
  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest("input, textarea, select");
    if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key !== "j" && event.key !== "k") return;
    at = Math.min(Math.max(at + (event.key === "j" ? 1 : -1), 0), steps.length - 1);
    for (const step of steps) step.classList.toggle("current", step === steps[at]);
    history.replaceState(null, "", "#" + steps[at].id);
    steps[at].scrollIntoView({ block: "nearest" });
    steps[at].querySelector(".gutter a").focus({ preventScroll: true });
  });
}
