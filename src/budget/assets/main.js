"use strict";
// Puts the page together: the report that is chosen, the choice among several, the theme.

const runName = (run) => `${run.scenario}, seed ${run.seed}`;

function headline(report) {
  const run = report.run;
  return h("section", { id: "headline" },
    h("h2", {}, "The message budget"),
    h("p", { class: "quiet" }, `${number(run.replicas)} replicas · ${run.engine} engine, ${run.timing} timing · profile ${run.profile}`,
      run.drops > 0 && ` · ${percent(run.drops)} of deliveries lost`),
    verdict(run),
    tiles(run),
    h("div", { class: "grid" }, report.figures.map((figure) => figureCard(report, figure))));
}

function partial(report) {
  const problems = report.run.problems;
  return problems.length > 0 && h("section", { id: "partial", class: "banner", role: "alert" },
    h("h2", {}, "Partial: not all of this run could be read"),
    h("ul", {}, problems.map((problem) => h("li", {}, problem))));
}

function matrix(report) {
  const content = h("div", {});
  const choice = h("select", { "aria-label": "what the matrix shows", onchange: show },
    ["sent", "bytes", "counted", "received", "unread", "lost"].map((what) => h("option", {}, what)));
  function show() {
    charts = charts.filter((chart) => chart.figure.dataset.chart !== "matrix");
    content.replaceChildren(matrixChart(report, choice.value));
    drawCharts();
  }
  show();
  return section("links", "Who sent to whom", null,
    h("div", { class: "controls" }, h("label", {}, "show", choice)), content,
    unfold("All links as a table", linksTable(report)));
}

function timeline(report) {
  return section("seconds", "Messages a second", "By the cause that they are charged to; above, each replica's life.",
    causeLegend(report), secondsChart(report),
    h("p", { class: "quiet" }, "Above: thick, leads; triangle, elected; diamond, stepped down; cross, died; shaded, partitioned."),
    report.events.length > 0 && unfold(`Events (${number(report.events.length)})`,
      h("ul", { class: "compact" }, report.events.map((event) => h("li", {}, `${moment(event.at_us)}: ${event.text}`)))));
}

function latency(report) {
  const colours = stageColours(report);
  const story = report.story;
  return [
    section("latency", "Where the time went", "Mean time of answered requests, stage by stage; stages add up to the latency.",
      legend([...colours]), report.latency.length > 0 ? latencyChart(report, colours) : h("p", {}, "No request was answered."),
      unfold("Percentiles", percentiles(report))),
    story && section("story", `A slow request: ${time(story.latency_us)}`, `The 99th percentile, ${story.request}.`,
      storyChart(report, colours), h("ol", { class: "compact" }, story.lines.map((line) => h("li", {}, line)))),
  ];
}

function linger(report) {
  if (report.linger.length === 0) return null;
  return section("linger", "What waiting for company would save", "The same arrivals, had the leader waited longer before it sends a batch.",
    h("div", { class: "two" }, 
      lingerChart(report, "saved", "messages saved", "messages_saved"),
      lingerChart(report, "wait", "mean wait added to a put, milliseconds", (point) => milliseconds(point.added_wait_us))));
}

function tradeOff(report) {
  const { others_needed, one_way_us } = report.trade_off;
  return section("trade_off", "Messages against delay",
    `The line is the floor, f + ⌈f/(d−1)⌉ messages to commit within d one-way delays, f = ${others_needed}; a circle is as large as its number of batches. Delays are not hops that were counted: they are the batch's time divided by the median one-way delay, so a batch on quick links lies left of d = 2, and a commit that another batch's messages completed lies below the line.`,
    tradeOffChart(report), one_way_us > 0 && h("p", { class: "quiet" }, `A one-way delay took ${time(one_way_us)} in the median.`));
}

/** What changed from the first report to the second, side by side. */
function changes() {
  const rows = (what, list) => h("div", { "data-part": `changed_${what}` }, table([
    { title: what, class: "text", of: (row) => words(row.name) },
    { title: "before", of: (row) => number(row.before) },
    { title: "after", of: (row) => number(row.after) },
    { title: "change", of: (row) => (row.before == null || row.after == null ? "–" : number(row.after - row.before)) },
  ], list));
  const [before, after] = reports.map((report) => `${runName(report.run)}, profile ${report.run.profile}`);
  return section("changes", "What changed", `Before: ${before}. After: ${after}.`,
    difference.words.map((sentence) => h("p", {}, sentence)),
    h("div", { class: "two" }, rows("cause", difference.causes), rows("figure", difference.figures)));
}

function overview(shown) {
  const figure = (report, at) => {
    const { value, floor } = report.figures[at] ?? {};
    return value == null ? "–" : `${number(value)} (${number(floor)})`;
  };
  return section("runs", "Runs", "Each figure with its floor in brackets.", table([
    { title: "run", class: "text", of: (report) => h("button", { type: "button", "aria-pressed": String(report === shown), onclick: () => choose(report) }, runName(report.run)) },
    { title: "messages", of: (report) => number(report.run.messages) },
    { title: "puts", class: "wide", of: (report) => number(report.run.puts) },
    ...reports[0].figures.map((first, at) => ({ title: first.title, of: (report) => figure(report, at) })),
  ], reports));
}

function choose(report) {
  charts = [];
  document.getElementById("name").textContent = runName(report.run);
  document.title = `${runName(report.run)}: message budget`;
  document.getElementById("version").textContent = `Laconic ${report.laconic_version}, schema ${report.schema}.`;
  document.querySelector("main").replaceChildren(...[
    partial(report),
    difference && changes(),
    reports.length > 1 && overview(report),
    headline(report),
    section("references", "From the floor to the textbook", "What the same arrivals would have cost, in messages.", references(report)),
    h("div", { class: "two" }, books(report), limits(report)),
    findings(report), verification(report),
    timeline(report),
    causesTable(report),
    h("div", { class: "two" }, fates(report), phases(report)),
    h("div", { class: "two" }, matrix(report), tradeOff(report)),
    latency(report),
    linger(report),
    spaceTime(report),
  ].flat().filter(Boolean));
  drawCharts();
}

document.getElementById("theme").addEventListener("click", () => {
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
});
addEventListener("resize", drawCharts);
choose(reports[0]);
