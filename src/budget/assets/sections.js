"use strict";
// The parts of the report that are text and tables.

/** How the run was judged, and how it was run. */
function verdict(run) {
  const judged = run.verdict;
  const badge = (good, text) => h("span", { class: `badge ${good ? "good" : "bad"}` }, text);
  const says = judged == null ? [badge(false, "not judged"), " The run was killed."]
    : judged.interrupted ? [badge(false, "interrupted")]
    : judged.passed ? [badge(true, "passed"), ` Tiers (0 is best): ${judged.tiers.map(([name, tier]) => `${words(name)} ${tier}`).join(", ")}.`]
    : [badge(false, "failed"), ` ${judged.failed_checks.join("; ")}.`];
  return h("div", { "data-part": "verdict" },
    h("p", {}, says, judged != null && ` ${number(judged.unanswered)} unanswered.`),
    h("p", { class: "quiet" }, `Run by Laconic ${run.ran_by}: `, h("code", {}, run.command)),
    run.knobs.length > 0 && unfold(`Knobs that differ from the profile course (${run.knobs.length})`, h("ul", { class: "compact" },
      run.knobs.map((knob) => h("li", {}, h("code", {}, knob.knob), ` ${JSON.stringify(knob.run)} (course: ${JSON.stringify(knob.course)})`)))));
}

function tiles(run) {
  const tile = (value, name) => h("div", { class: "tile" }, h("b", {}, value), h("span", {}, name));
  return h("div", { class: "tiles" },
    tile(number(run.messages), "messages"),
    tile(bytes(run.bytes), "sent"),
    tile(number(run.puts), "puts"),
    tile(number(run.reads), "reads"),
    tile(number(run.batches), "batches"),
    tile(number(run.elections), run.elections === 1 ? "election" : "elections"),
    tile(time(run.leaderless_us), "without a leader"),
    tile(time(run.duration_us), "duration"));
}

function figureCard(report, figure) {
  const beside = figure.floor == null
    ? "too little data to say"
    : `floor ${number(figure.floor)}${figure.ratio == null ? "" : ` · ${number(figure.ratio)} × the floor`}`;
  const excess = figure.excess.filter((share) => share.value > 0);
  return h("div", { class: "card", "data-figure": figure.name },
    h("h3", {}, figure.title),
    h("div", {}, h("span", { class: "value" }, number(figure.value)), h("span", { class: "beside" }, beside)),
    figure.floor_means && h("p", { class: "quiet" }, `Floor: ${figure.floor_means}`),
    excess.length > 0 && [
      h("p", { class: "quiet" }, "Above the floor:"),
      stack(excess.map((share) => ({ name: words(share.cause), value: share.value, colour: causeColour(share.cause) })),
        d3.sum(excess, (share) => share.value)),
      legend(excess.map((share) => [`${words(share.cause)} ${number(share.value)}`, causeColour(share.cause)])),
    ]);
}

function references(report) {
  const run = { title: "This run", messages: report.run.messages, run: true, ratio: null,
    a_put: report.run.puts > 0 ? report.run.messages / report.run.puts : null };
  const known = report.references.filter((reference) => reference.messages != null);
  const rows = d3.sort([run, ...known], (row) => row.messages);
  const most = d3.max(rows, (row) => row.messages);
  return h("div", { class: "bars", "data-chart": "references" }, rows.map((row) =>
    h("div", { class: row.run ? "run" : "" },
      h("div", { class: "label" }, h("span", {}, row.title),
        h("span", {}, [
          number(row.messages, 0),
          row.a_put != null && `${number(row.a_put)} a put`,
          row.ratio != null && `this run: ${number(row.ratio)} × of it`,
        ].filter(Boolean).join(" · "))),
      h("div", { class: "rail" },
        h("i", { class: "mark", style: { width: `${most > 0 ? (100 * row.messages) / most : 0}%` } })))));
}

function books(report) {
  const { sent, counted, unread, lost, faults } = report.books;
  const balanced = faults.length === 0;
  return section("books", "The books", "What the replicas' records say they sent, against what the simulator counted by itself.",
    h("p", {},
      h("span", { class: `badge ${balanced ? "good" : "bad"}` }, balanced ? "balanced" : "not balanced"), " ",
      `${number(sent)} sent = ${number(counted)} counted + ${number(unread)} unread + ${number(lost)} lost on the way`),
    !balanced && h("ul", {}, faults.map((fault) => h("li", {}, fault))));
}

function limits(report) {
  if (report.limits.length === 0) return null;
  return section("limits", "Limits", "What the scenario or the profile allows, and what was spent.",
    h("div", { class: "bars", "data-chart": "limits" }, report.limits.map((limit) =>
      h("div", { class: limit.exceeded ? "run over" : "" },
        h("div", { class: "label" }, h("span", {}, `${words(limit.name)} (${limit.stated_by})`),
          h("span", {}, `${limit.spent == null ? "too little to say" : number(limit.spent)} of ${number(limit.allowed)}`,
            limit.exceeded && " · exceeded")),
        h("div", { class: "rail" }, h("i", { class: "mark",
          style: { width: `${limit.allowed > 0 ? Math.min(100, (100 * (limit.spent ?? 0)) / limit.allowed) : 100}%` } }))))));
}

function findingCard(report, finding) {
  const share = report.run.messages > 0 ? finding.expected_saving / report.run.messages : 0;
  return h("div", { class: "card finding", "data-finding": finding.name },
    h("h3", {}, finding.title),
    h("p", {}, finding.summary),
    finding.numbers.length > 0 && h("dl", { class: "numbers" }, finding.numbers.map((item) =>
      [h("dt", {}, item.name), h("dd", {}, `${number(item.value)} ${item.unit}`)])),
    finding.changes.map((change) => h("div", { class: "knob" }, h("code", {}, change.knob), ": ",
      h("code", {}, JSON.stringify(change.from)), " → ", h("code", {}, JSON.stringify(change.to)))),
    h("div", { class: "saving" }, finding.expected_saving > 0
      ? `Expected saving: ${number(finding.expected_saving, 0)} messages (${percent(share)})`
      : "No message saved by a knob"));
}

function findings(report) {
  const of = (verdict) => report.findings.filter((finding) => finding.verdict === verdict);
  const listed = (title, verdict) => {
    const quiet = of(verdict);
    return quiet.length > 0 && unfold(`${title} (${quiet.length})`, h("ul", { class: "compact" }, quiet.map((finding) =>
      h("li", { "data-finding": finding.name }, h("b", {}, finding.title), ": ", finding.summary))));
  };
  const found = d3.sort(of("found"), (finding) => -finding.expected_saving);
  return section("findings", "Findings", "What could be saved, and by which knob.",
    found.length > 0 ? h("div", { class: "grid" }, found.map((finding) => findingCard(report, finding)))
      : h("p", {}, "Nothing to save was found."),
    listed("Nothing to save", "nothing"),
    listed("Too little data to say", "too_little"));
}

function verification(report) {
  const seen = report.verification;
  if (seen == null) return null;
  const range = (spread) => `${number(spread.least, 0)} to ${number(spread.most, 0)}`;
  return section("verification", "Verified by rerun",
    `${number(seen.seeds.length)} seeds in virtual time, as it was and with each change; as they were: `
      + `${number(seen.messages.mean, 0)} messages, median latency ${time(seen.p50_latency_us.mean)}.`,
    h("div", { "data-chart": "verification" }, table([
      { title: "finding", class: "text", of: (row) => words(row.name) },
      { title: "expected", of: (row) => number(row.expected.mean, 0) },
      { title: "seen", of: (row) => number(row.seen.mean, 0) },
      { title: "seen, from to", class: "wide", of: (row) => range(row.seen) },
      { title: "ratio", of: (row) => number(row.seen_of_expected) },
      { title: "median latency", class: "wide", of: (row) => time(row.p50_latency_us.mean) },
      { title: "passed", class: "wide", of: (row) => `${number(row.passed)} of ${number(seen.seeds.length)}` },
    ], seen.rows)),
    h("p", { "data-part": "recommended" }, seen.recommended == null
      ? "Recommended: nothing. No change saves messages and passes as many runs."
      : `Recommended: ${seen.recommended.row.changes.map((change) => `${change.knob} ${JSON.stringify(change.from)} → ${JSON.stringify(change.to)}`).join(", ")}. It saves ${number(seen.recommended.row.seen.mean, 0)} messages; ${number(seen.recommended.row.passed)} of ${number(seen.seeds.length)} runs pass.`),
    seen.rows.filter((row) => row.failed_checks.length > 0).map((row) => h("p", { class: "quiet" },
      `${words(row.name)} fails ${row.failed_checks.map((check) => `“${check.name}” in ${number(check.runs)} runs`).join(", ")}.`)));
}

function causesTable(report) {
  const most = d3.max(report.table, (row) => row.count);
  const bar = (row) => stack([{ name: row.cause, value: row.count, colour: causeColour(row.charged_to) }], most);
  return section("causes", "Messages by kind and cause", "An answer has the colour of what it answers: its cost is charged there.",
    h("div", { "data-chart": "causes" }, table([
      { title: "kind", class: "text", of: (row) => words(row.kind) },
      { title: "cause", class: "text", of: (row) => [swatch(causeColour(row.charged_to)), row.cause] },
      { title: "count", of: (row) => number(row.count) },
      { title: "share", of: (row) => percent(row.share) },
      { title: "a put", of: (row) => number(row.a_put) },
      { title: "bytes", class: "wide", of: (row) => bytes(row.bytes) },
      { title: "", class: "bar wide", of: bar },
    ], report.table)));
}

function fates(report) {
  const most = d3.max(report.fates, (row) => row.count);
  const [met, unmet] = [(row) => row.count > 0, (row) => row.count === 0].map((is) => report.fates.filter(is));
  return section("fates", "What became of them", null, h("div", { "data-chart": "fates" }, table([
    { title: "fate", class: "text", of: (row) => words(row.fate) },
    { title: "messages", of: (row) => number(row.count) },
    { title: "bytes", class: "wide", of: (row) => bytes(row.bytes) },
    { title: "by cause", class: "text bar", of: (row) => causeStack(report, row.by_cause, most) },
  ], met)), unmet.length > 0 && h("p", { class: "quiet" }, `None: ${unmet.map((row) => words(row.fate)).join(", ")}.`));
}

function phases(report) {
  const most = d3.max(report.phases, (row) => row.messages);
  return section("phases", "When they were sent", null, h("div", { "data-chart": "phases" }, table([
    { title: "phase", class: "text", of: (row) => words(row.phase) },
    { title: "lasted", of: (row) => time(row.duration_us) },
    { title: "messages", of: (row) => number(row.messages) },
    { title: "by cause", class: "text bar", of: (row) => causeStack(report, row.by_cause, most) },
  ], report.phases)));
}

function linksTable(report) {
  return table([
    { title: "from", class: "text", of: (row) => row.from },
    { title: "to", class: "text", of: (row) => row.to },
    ...["sent", "counted", "unread", "lost", "received"].map((name) => ({ title: name, of: (row) => number(row[name]) })),
    { title: "bytes", of: (row) => bytes(row.bytes) },
  ], report.links);
}

function percentiles(report) {
  const rows = report.latency.flatMap((row) =>
    [{ name: h("b", {}, row.kind), time: row.total }, ...row.stages.map((stage) => ({ name: stage.stage, time: stage.time }))]);
  return table([
    { title: "", class: "text", of: (row) => row.name },
    { title: "mean", of: (row) => time(row.time.mean_us) },
    ...["p50", "p90", "p99", "max"].map((name) => ({ title: name, of: (row) => time(row.time[`${name}_us`]) })),
  ], rows);
}
