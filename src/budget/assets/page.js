"use strict";
// What all sections use: the data, elements, numbers for people, colours.

const [reports, difference] = ["reports", "difference"].map((id) => JSON.parse(document.getElementById(id).textContent));

/** An element; text among its children stays text, whatever it contains. */
function h(name, attributes, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes ?? {})) {
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (key === "style") for (const [what, how] of Object.entries(value)) element.style.setProperty(what, how);
    else if (value !== false && value != null) element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children.flat(9).filter((child) => child != null && child !== false));
  return element;
}

/** A number for people; one too small for its digits keeps one significant digit, so that only 0 is 0. */
function number(value, digits = 2) {
  if (value == null) return "–";
  const tiny = value !== 0 && Math.abs(value) < 0.5 * 10 ** -digits;
  return value.toLocaleString("en", tiny ? { maximumSignificantDigits: 1 } : { maximumFractionDigits: digits });
}

const percent = (share) => `${number(100 * share, share < 0.1 ? 1 : 0)}\u00a0%`;

/** Microseconds in the unit that suits them. */
function time(us) {
  const size = Math.abs(us);
  if (size >= 1e6) return `${number(us / 1e6)}\u00a0s`;
  if (size >= 1e3) return `${number(us / 1e3)}\u00a0ms`;
  return `${number(us, 0)}\u00a0µs`;
}

/** A moment of the run, to the millisecond. */
const moment = (us) => `${(us / 1e6).toFixed(3)}\u00a0s`;

function bytes(count) {
  if (count >= 1e6) return `${number(count / 1e6)}\u00a0MB`;
  if (count >= 1e3) return `${number(count / 1e3, 1)}\u00a0kB`;
  return `${number(count)}\u00a0B`;
}

const words = (name) => name.replaceAll("_", " ");

/** The style sheet has one colour for each cause; it is the same in every chart. */
const causeColour = (cause) => `var(--${cause}, var(--quiet))`;
const swatch = (colour) => h("i", { class: "swatch", style: { background: colour } });

function legend(entries) {
  return h("div", { class: "legend" }, entries.map(([name, colour]) => h("span", {}, swatch(colour), name)));
}

/** The legend of the causes that the run's messages are charged to. */
function causeLegend(report) {
  const charged = new Set(report.table.map((row) => row.charged_to));
  const seen = report.causes.filter((cause) => charged.has(cause));
  return legend(seen.map((cause) => [words(cause), causeColour(cause)]));
}

/** Parts side by side, each as wide as its share of `whole`. */
function stack(parts, whole) {
  const total = d3.sum(parts, (part) => part.value);
  const width = whole > 0 ? `${(100 * total) / whole}%` : "0";
  return h("div", { class: "stack", style: { width } }, parts.filter((part) => part.value > 0).map((part) =>
    h("i", {
      class: "mark",
      title: `${part.name}: ${number(part.value)}`,
      style: { background: part.colour, flex: `${part.value} 0 0` },
    })));
}

const causeStack = (report, counts, whole) =>
  stack(report.causes.map((cause, at) => ({ name: words(cause), value: counts[at], colour: causeColour(cause) })), whole);

function table(columns, rows) {
  const cell = (name, column, content) => h(name, { class: column.class }, content);
  return h("div", { class: "scroll" }, h("table", {},
    h("thead", {}, h("tr", {}, columns.map((column) => cell("th", column, column.title)))),
    h("tbody", {}, rows.map((row) => h("tr", {}, columns.map((column) => cell("td", column, column.of(row))))))));
}

function section(id, title, explanation, ...content) {
  return h("section", { id }, h("h2", {}, title), explanation && h("p", { class: "quiet" }, explanation), content);
}

const unfold = (title, ...content) => h("details", {}, h("summary", {}, title), content);

/** Charts of the report that is shown; each knows how to draw itself at a width. */
let charts = [];

function chart(name, label, draw) {
  const figure = h("figure", { "data-chart": name, role: "group", "aria-label": label });
  charts.push({ figure, draw, width: 0 });
  return figure;
}

function drawCharts() {
  for (const chart of charts) {
    const width = Math.floor(chart.figure.clientWidth);
    if (width > 0 && width !== chart.width) {
      chart.width = width;
      chart.figure.replaceChildren(...[chart.draw(width)].flat());
    }
  }
}
