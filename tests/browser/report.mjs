// Opens a report in Chromium, without a network, at two sizes and in two themes, and prints what it
// saw as JSON: node report.mjs FILE. It only looks; tests/html_report.rs judges.

import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const { chromium } = createRequire(import.meta.url)("playwright-core");

const SIZES = [
  { width: 1280, height: 800 },
  { width: 390, height: 844 },
];
const STEPS_AT_MOST = 80;
const NAMES = [
  "mark",
  "event",
  "life",
  "leadership",
  "floor",
  "message",
  "lost",
  "cross",
  "answer",
];

/** How many marks each chart has, by chart and class, and how the page stands. */
function look(names) {
  const counts = {};
  for (const chart of document.querySelectorAll("[data-chart]")) {
    for (const name of names) {
      const marks = chart.querySelectorAll(`svg .${name}`).length;
      if (marks > 0) counts[`${chart.dataset.chart}.${name}`] = marks;
    }
  }
  const texts = [...document.querySelectorAll("main figure text")].filter(
    (text) => text.getClientRects().length > 0 && text.textContent !== "",
  );
  const beyond = texts.filter((text) => {
    const [box, page] = [
      text.getBoundingClientRect(),
      text.closest("section").getBoundingClientRect(),
    ];
    return box.left < page.left || box.right > page.right;
  });
  const { from, to } = document.querySelector("[data-chart=space_time]").dataset;
  return {
    name: document.getElementById("name").textContent,
    verdict: document.getElementById("verdict").textContent,
    contents: document.querySelectorAll("#contents a").length,
    sections: document.querySelectorAll("main section").length,
    counts,
    findings: document.querySelectorAll("[data-finding]").length,
    cards: document.querySelectorAll(".finding").length,
    empty: [...document.querySelectorAll("figure")]
      .filter((figure) => !figure.querySelector("svg"))
      .map((figure) => figure.dataset.chart),
    smallest_text: Math.min(
      ...texts.map((text) => parseFloat(getComputedStyle(text).fontSize) * text.getScreenCTM().a),
    ),
    beyond: beyond.map((text) => `${text.closest("figure").dataset.chart}: ${text.textContent}`),
    banner: document.getElementById("partial")?.innerText ?? null,
    headline: document.getElementById("headline").innerText,
    books: document.getElementById("books").innerText,
    too_wide: document.documentElement.scrollWidth - innerWidth,
    window: [Number(from), Number(to)],
    address: location.hash,
  };
}

const see = (page) => page.evaluate(look, NAMES);

/** Goes to a window by its address; the run that is shown last is the last one. */
async function go(page, from, to) {
  await page.evaluate(
    ([from, to]) => {
      location.hash = `#space_time=${from}-${to}&run=${reports.length - 1}`;
    },
    [from, to],
  );
}

/** Scrolls the space-time diagram through the run by one way of stepping, from its first window. */
async function scroll(page, size, forward) {
  const section = page.locator("#space_time");
  await go(page, 0, size);
  await page.waitForFunction(
    (size) => document.querySelector("[data-chart=space_time]").dataset.to === String(size),
    size,
  );
  const seen = [];
  for (;;) {
    seen.push(await see(page));
    if (seen.length === STEPS_AT_MOST || (await section.locator("[data-step=next]").isDisabled()))
      break;
    await forward(section);
  }
  return seen.map(({ counts, window }) => ({ counts, window }));
}

/** What the diagram's keys, wheel, list of events and arrows do. */
async function steer(page) {
  const figure = page.locator("#space_time figure");
  const window = async () => (await see(page)).window;
  const jumps = [];
  const list = page.locator("#space_time select");
  for (let at = 0; at < Math.min(3, (await list.locator("option").count()) - 1); at += 1) {
    await list.selectOption(String(at));
    jumps.push(await window());
  }
  await go(page, 2000000, 2100000);
  await page.waitForFunction(
    () => document.querySelector("[data-chart=space_time]").dataset.from === "2000000",
  );
  await figure.focus();
  await page.keyboard.press("+");
  const nearer = await window();
  await page.keyboard.press("-");
  const farther = await window();
  const box = await figure.boundingBox();
  await page.mouse.move(box.x + box.width / 2, box.y + box.height / 2);
  await page.mouse.wheel(0, -400);
  await page.waitForFunction((size) => {
    const { from, to } = document.querySelector("[data-chart=space_time]").dataset;
    return to - from < size;
  }, farther[1] - farther[0]);
  const wheeled = await window();
  const { address } = await see(page);
  return { jumps, nearer, farther, wheeled, address };
}

/** The story that the first arrow of a window that can be pointed at tells then. */
async function point(page) {
  await page.evaluate(() => document.getElementById("space_time").scrollIntoView({ block: "end" }));
  // What is told goes away as the page scrolls.
  await page.waitForTimeout(200);
  const place = await page.evaluate(() => {
    const arrows = document.querySelectorAll("[data-chart=space_time] .message .reach");
    for (const arrow of arrows) {
      const at = arrow
        .getPointAtLength(arrow.getTotalLength() * 0.45)
        .matrixTransform(arrow.getScreenCTM());
      // Another arrow, or the edge of the window, may be in front of it.
      if (document.elementFromPoint(at.x, at.y) === arrow) return { x: at.x, y: at.y };
    }
    return null;
  });
  if (place == null) return null;
  await page.mouse.move(place.x, place.y);
  await page.waitForFunction(() => !document.getElementById("tip").hidden);
  return page.evaluate(() => document.getElementById("tip").textContent);
}

async function visit(browser, file, viewport, colorScheme) {
  const context = await browser.newContext({ viewport, colorScheme, offline: true });
  const page = await context.newPage();
  const [complaints, requests] = [[], []];
  page.on(
    "console",
    (message) => ["error", "warning"].includes(message.type()) && complaints.push(message.text()),
  );
  page.on("pageerror", (error) => complaints.push(error.stack));
  page.on("dialog", (dialog) => complaints.push(dialog.message()) && dialog.dismiss());
  page.on("request", (request) => requests.push(request.url()));
  await page.goto(pathToFileURL(file).href);
  const shown = [];
  const choices = page.locator("#runs button");
  for (let run = 0; run < Math.max(1, await choices.count()); run += 1) {
    if (await choices.count()) await choices.nth(run).click();
    shown.push(await see(page));
  }
  const story = await point(page);
  const seconds = await scroll(page, 1000000, (section) =>
    section.locator("[data-step=next]").click(),
  );
  const tenths = await scroll(page, 100000, (section) =>
    section.locator("figure").press("ArrowRight"),
  );
  await page.locator("#space_time [data-step=previous]").click();
  const back = (await see(page)).window;
  const steered = await steer(page);
  const background = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const backgrounds = [await background()];
  await page.locator("#theme").click();
  backgrounds.push(await background());
  await page.setViewportSize({ width: viewport.width - 40, height: viewport.height });
  await page.waitForTimeout(200);
  const resized = await see(page);
  await context.close();
  return {
    width: viewport.width,
    scheme: colorScheme,
    complaints,
    requests,
    shown,
    story,
    seconds,
    tenths,
    back,
    steered,
    backgrounds,
    resized,
  };
}

const browser = await chromium.launch({
  executablePath: "/usr/bin/chromium",
  args: ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"],
});
try {
  const visits = [];
  for (const viewport of SIZES)
    for (const scheme of ["light", "dark"])
      visits.push(await visit(browser, process.argv[2], viewport, scheme));
  console.log(JSON.stringify(visits));
} finally {
  await browser.close();
}
