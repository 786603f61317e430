// Opens a report in Chromium, without a network, at two sizes and in two themes, and prints what it
// saw as JSON: node report.mjs FILE. It only looks; tests/html_report.rs judges.

import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const { chromium } = createRequire(import.meta.url)("playwright-core");

const SIZES = [{ width: 1280, height: 800 }, { width: 390, height: 844 }];
const STEPS_AT_MOST = 80;

/** How many marks each chart has, by chart and class. */
function countMarks() {
  const counts = {};
  for (const chart of document.querySelectorAll("[data-chart]")) {
    for (const name of ["mark", "event", "life", "leadership", "floor", "message", "lost", "cross"]) {
      const marks = chart.querySelectorAll(`i.${name}, svg .${name} > *, svg > .${name}:not(g)`).length;
      if (marks > 0) counts[`${chart.dataset.chart}.${name}`] = marks;
    }
  }
  const { from, to } = document.querySelector("[data-chart=space_time]").dataset;
  return {
    name: document.getElementById("name").textContent,
    counts,
    findings: document.querySelectorAll("[data-finding]").length,
    cards: document.querySelectorAll(".finding").length,
    excess: document.querySelectorAll("[data-figure] .mark").length,
    empty: [...document.querySelectorAll("figure")].filter((figure) => !figure.querySelector("svg")).map((figure) => figure.dataset.chart),
    banner: document.getElementById("partial")?.innerText ?? null,
    headline: document.getElementById("headline").innerText,
    books: document.getElementById("books").innerText,
    too_wide: document.documentElement.scrollWidth - innerWidth,
    window: [Number(from), Number(to)],
  };
}

/** Scrolls the space-time diagram through the run by one way of stepping, from its first window. */
async function scroll(page, size, forward) {
  const section = page.locator("#space_time");
  await section.locator(`[data-size="${size}"]`).click();
  await section.locator("input[type=range]").fill("0");
  const seen = [];
  for (;;) {
    seen.push(await page.evaluate(countMarks));
    if (seen.length === STEPS_AT_MOST || (await section.locator("[data-step=next]").isDisabled())) break;
    await forward(section);
  }
  return seen.map(({ counts, window }) => ({ counts, window }));
}

async function visit(browser, file, viewport, colorScheme) {
  const context = await browser.newContext({ viewport, colorScheme, offline: true });
  const page = await context.newPage();
  const [complaints, requests] = [[], []];
  page.on("console", (message) => ["error", "warning"].includes(message.type()) && complaints.push(message.text()));
  page.on("pageerror", (error) => complaints.push(error.stack));
  page.on("dialog", (dialog) => complaints.push(dialog.message()) && dialog.dismiss());
  page.on("request", (request) => requests.push(request.url()));
  await page.goto(pathToFileURL(file).href);
  const shown = [];
  const choices = page.locator("#runs button");
  for (let run = 0; run < Math.max(1, await choices.count()); run += 1) {
    if (await choices.count()) await choices.nth(run).click();
    shown.push(await page.evaluate(countMarks));
  }
  const seconds = await scroll(page, 1000000, (section) => section.locator("[data-step=next]").click());
  const tenths = await scroll(page, 100000, (section) => section.locator("figure").press("ArrowRight"));
  await page.locator("#space_time [data-step=previous]").click();
  const back = (await page.evaluate(countMarks)).window;
  const background = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const backgrounds = [await background()];
  await page.locator("#theme").click();
  backgrounds.push(await background());
  await page.setViewportSize({ width: viewport.width - 40, height: viewport.height });
  await page.waitForTimeout(200);
  const resized = await page.evaluate(countMarks);
  await context.close();
  return { width: viewport.width, scheme: colorScheme, complaints, requests, shown, seconds, tenths, back, backgrounds, resized };
}

const browser = await chromium.launch({
  executablePath: "/usr/bin/chromium",
  args: ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"],
});
try {
  const visits = [];
  for (const viewport of SIZES) for (const scheme of ["light", "dark"]) visits.push(await visit(browser, process.argv[2], viewport, scheme));
  console.log(JSON.stringify(visits));
} finally {
  await browser.close();
}
