"use strict";
// What all sections use: the data, elements, numbers for people, charts.

const [reports, difference] = ["reports", "difference"].map((id) =>
  JSON.parse(document.getElementById(id).textContent),
);
const drawings = [...document.querySelectorAll("template.charts")];

/** An element; text among its children stays text, whatever it contains. */
function h(name, attributes, ...children) {
  return fill(document.createElement(name), attributes, children);
}

/** The same in SVG. */
function s(name, attributes, ...children) {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, children);
}

function fill(element, attributes, children) {
  for (const [key, value] of Object.entries(attributes ?? {})) {
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (value !== false && value != null)
      element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children.flat(9).filter((child) => child != null && child !== false));
  return element;
}

/** A number for people; one too small for its digits keeps one significant digit, so that only 0 is 0. */
function number(value, digits = 2) {
  if (value == null) return "–";
  const tiny = value !== 0 && Math.abs(value) < 0.5 * 10 ** -digits;
  return value.toLocaleString(
    "en",
    tiny ? { maximumSignificantDigits: 1 } : { maximumFractionDigits: digits },
  );
}

const counted = (count, one, many) => `${number(count)} ${count === 1 ? one : (many ?? `${one}s`)}`;
const percent = (share) => `${number(100 * share, share < 0.1 ? 1 : 0)}\u00a0%`;

/** Microseconds in the one unit that suits them. */
function time(us) {
  const size = Math.abs(us);
  if (size >= 1e6) return `${number(us / 1e6)}\u00a0s`;
  if (size >= 1e3) return `${number(us / 1e3)}\u00a0ms`;
  return `${number(us, 0)}\u00a0µs`;
}

/** A moment of the run, to the millisecond, or to the microsecond where one is looked at so closely. */
const moment = (us, digits = 3) => `${(us / 1e6).toFixed(digits)}\u00a0s`;

function bytes(count) {
  if (count >= 1e6) return `${number(count / 1e6)}\u00a0MB`;
  if (count >= 1e3) return `${number(count / 1e3, 1)}\u00a0kB`;
  return `${number(count)}\u00a0B`;
}

const words = (name) => name.replaceAll("_", " ");
const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);
const replica = (rank) => rank.toString(16).toUpperCase().padStart(4, "0");
const knobValue = (value) => (typeof value === "string" ? value : JSON.stringify(value));
const sum = (values) => values.reduce((all, value) => all + value, 0);

function table(columns, rows) {
  const cell = (name, column, content) => h(name, { class: column.class }, content);
  return h(
    "div",
    { class: "scroll" },
    h(
      "table",
      {},
      h(
        "thead",
        {},
        h(
          "tr",
          {},
          columns.map((column) => cell("th", column, column.title)),
        ),
      ),
      h(
        "tbody",
        {},
        rows.map((row) =>
          h(
            "tr",
            {},
            columns.map((column) => cell("td", column, column.of(row))),
          ),
        ),
      ),
    ),
  );
}

function section(id, title, explanation, ...content) {
  return h(
    "section",
    { id },
    h("h2", {}, title),
    explanation && h("p", { class: "quiet" }, explanation),
    content,
  );
}

const unfold = (title, ...content) => h("details", {}, h("summary", {}, title), content);

/** The drawing of a report's chart; null if there was nothing to draw. */
function chart(report, name) {
  const drawing = drawings[reports.indexOf(report)].content.querySelector(`[data-chart="${name}"]`);
  if (drawing == null) return null;
  const figure = document.importNode(drawing, true);
  // What a mark tells is shown at once, not after the browser's delay.
  for (const title of figure.querySelectorAll("title")) {
    title.parentNode.dataset.tip = title.textContent;
    title.remove();
  }
  return figure;
}

const tip = document.getElementById("tip");

function showTip(text, x, y) {
  tip.hidden = text == null;
  if (tip.hidden) return;
  tip.textContent = text;
  const { width, height } = tip.getBoundingClientRect();
  const left = Math.min(Math.max(8, x - width / 2), innerWidth - width - 8);
  Object.assign(tip.style, {
    left: `${left}px`,
    top: `${y > height + 24 ? y - height - 14 : y + 20}px`,
  });
}

addEventListener("pointermove", (event) => {
  showTip(event.target.closest?.("[data-tip]")?.dataset.tip, event.clientX, event.clientY);
});
addEventListener("scroll", () => showTip(null), { passive: true });
