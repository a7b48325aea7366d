// A headless Chromium, and what is checked on every page.
import { mkdirSync } from "node:fs";
import { createRequire } from "node:module";
import chromium from "@sparticuz/chromium";
import { chromium as playwright } from "playwright-core";

const axe = createRequire(import.meta.url).resolve("axe-core/axe.min.js");
const shots = process.env.SCREENSHOTS;
mkdirSync(shots, { recursive: true });

export const problems = [];

export const browser = await playwright.launch({
  executablePath: await chromium.executablePath(),
  // Not those of the package, which switch off what protects pages from each other.
  args: ["--headless=shell", "--no-sandbox", "--disable-dev-shm-usage", "--font-render-hinting=none"],
  headless: true,
});

/** A browser of a person, with its own cookies. */
export async function person(base) {
  const context = await browser.newContext({ baseURL: base, viewport: { width: 1280, height: 800 } });
  context.setDefaultTimeout(20_000);
  await context.addInitScript({ path: axe });
  const page = await context.newPage();
  // A script of a stranger would call this.
  page.on("dialog", (dialog) => { problems.push(`a dialog opened on ${page.url()}`); dialog.dismiss(); });
  page.on("pageerror", (error) => problems.push(`${page.url()}: ${error}`));
  page.on("console", (message) => {
    if (/content security policy|refused to/i.test(message.text())) problems.push(`${page.url()}: ${message.text()}`);
  });
  return page;
}

/** Looks at a page in light, in dark and on a phone, and asks axe about each. */
export async function look(page, name) {
  for (const [variant, colorScheme, width] of [["light", "light", 1280], ["dark", "dark", 1280], ["phone", "light", 390]]) {
    await page.setViewportSize({ width, height: 800 });
    await page.emulateMedia({ colorScheme });
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    if (wide > 0) problems.push(`${name} is ${wide} pixels too wide for ${width}`);
    const found = await page.evaluate(() => axe.run({ resultTypes: ["violations"] }));
    for (const { id, impact, nodes } of found.violations) {
      const where = nodes.slice(0, 3).map((node) => `${node.target} ${node.any[0]?.message ?? ""}`).join("; ");
      const text = `axe: ${id} (${impact}) on ${name}, ${variant}: ${where}`;
      if (impact === "serious" || impact === "critical") problems.push(text);
      else console.log(text);
    }
    await page.screenshot({ path: `${shots}/${name}-${variant}.png`, fullPage: true });
  }
  await page.setViewportSize({ width: 1280, height: 800 });
  await page.emulateMedia({ colorScheme: "light" });
}
