"use strict";
// The sections of the report: text and tables around the charts.

const badge = (good, text) => h("span", { class: `badge ${good ? "good" : "bad"}` }, text);

/** The verdict in a word. */
function verdictBadge(run) {
  const judged = run.verdict;
  if (judged == null) return badge(false, "not judged");
  if (judged.interrupted) return badge(false, "interrupted");
  return badge(judged.passed, judged.passed ? "passed" : "failed");
}

/** How the run was judged, and how it was run. */
function verdict(run) {
  const judged = run.verdict;
  const says =
    judged == null
      ? "The run was killed."
      : judged.interrupted
        ? ""
        : judged.passed
          ? `Tiers (0 is best): ${judged.tiers.map(([name, tier]) => `${words(name)} ${tier}`).join(", ")}.`
          : `${capital(judged.failed_checks.join("; "))}.`;
  return h(
    "div",
    { "data-part": "verdict" },
    h(
      "p",
      {},
      verdictBadge(run),
      ` ${says}`,
      judged != null && ` ${counted(judged.unanswered, "request")} unanswered.`,
    ),
    h("p", { class: "quiet" }, `Run by Laconic ${run.ran_by}: `, h("code", {}, run.command)),
    run.knobs.length > 0 &&
      unfold(
        `Knobs that differ from the profile course (${run.knobs.length})`,
        h(
          "ul",
          { class: "compact" },
          run.knobs.map((knob) =>
            h(
              "li",
              {},
              h("code", {}, knob.knob),
              ` ${knobValue(knob.run)} (course: ${knobValue(knob.course)})`,
            ),
          ),
        ),
      ),
  );
}

function tiles(run) {
  const tile = (value, name) => h("div", { class: "tile" }, h("b", {}, value), h("span", {}, name));
  return h(
    "div",
    { class: "tiles" },
    tile(number(run.messages), "messages"),
    tile(bytes(run.bytes), "sent"),
    tile(number(run.puts), run.puts === 1 ? "put" : "puts"),
    tile(number(run.reads), run.reads === 1 ? "read" : "reads"),
    tile(number(run.batches), run.batches === 1 ? "batch" : "batches"),
    tile(number(run.elections), run.elections === 1 ? "election" : "elections"),
    tile(time(run.leaderless_us), "without a leader"),
    tile(time(run.duration_us), "duration"),
  );
}

function figureCard(figure) {
  const watched =
    figure.watched_floor === figure.floor
      ? ""
      : `, with f watchers ${number(figure.watched_floor)}`;
  const beside =
    figure.floor == null
      ? "too little data to say"
      : `floor ${number(figure.floor)}${watched}${figure.ratio == null ? "" : ` · ${number(figure.ratio)} × the floor`}`;
  return h(
    "div",
    { class: "card", "data-figure": figure.name },
    h("h3", {}, figure.title),
    h(
      "div",
      {},
      h("span", { class: "value" }, number(figure.value)),
      h("span", { class: "beside" }, beside),
    ),
    figure.floor_means && h("p", { class: "quiet" }, `Floor: ${figure.floor_means}.`),
  );
}

function headline(report) {
  const run = report.run;
  return section(
    "headline",
    "The message budget",
    [
      `${number(run.replicas)} replicas · ${run.engine} engine, ${run.timing} timing · profile ${run.profile}`,
      run.drops > 0 ? ` · ${percent(run.drops)} of deliveries lost` : "",
    ].join(""),
    verdict(run),
    tiles(run),
    h("div", { class: "grid" }, report.figures.map(figureCard)),
    chart(report, "figures"),
  );
}

function partial(report) {
  const problems = report.run.problems;
  return (
    problems.length > 0 &&
    h(
      "section",
      { id: "partial", class: "banner", role: "alert" },
      h("h2", {}, "Partial: not all of this run could be read"),
      h(
        "ul",
        {},
        problems.map((problem) => h("li", {}, problem)),
      ),
    )
  );
}

function books(report) {
  const { sent, counted: read, unread, lost, faults } = report.books;
  const balanced = faults.length === 0;
  return section(
    "books",
    "The books",
    "What the replicas' records say they sent, against what the simulator counted by itself.",
    h(
      "p",
      {},
      badge(balanced, balanced ? "balanced" : "not balanced"),
      " ",
      `${number(sent)} sent = ${number(read)} counted + ${number(unread)} unread + ${number(lost)} lost on the way`,
    ),
    !balanced &&
      h(
        "ul",
        {},
        faults.map((fault) => h("li", {}, fault)),
      ),
  );
}

function findingCard(report, finding) {
  const share = report.run.messages > 0 ? finding.expected_saving / report.run.messages : 0;
  return h(
    "div",
    { class: "card finding", "data-finding": finding.name },
    h("h3", {}, finding.title),
    h("p", {}, finding.summary),
    finding.numbers.length > 0 &&
      h(
        "dl",
        { class: "numbers" },
        finding.numbers.map((item) => [
          h("dt", {}, capital(words(item.name.replace(/_us$/, "")))),
          h("dd", {}, item.text),
        ]),
      ),
    finding.changes.map((change) =>
      h(
        "div",
        { class: "knob" },
        h("code", {}, change.knob),
        ": ",
        h("code", {}, knobValue(change.from)),
        " → ",
        h("code", {}, knobValue(change.to)),
      ),
    ),
    h(
      "div",
      { class: "saving" },
      finding.expected_saving > 0
        ? `Expected saving: ${number(finding.expected_saving, 0)} messages (${percent(share)})`
        : "No knob saves messages here.",
    ),
  );
}

function findings(report) {
  const of = (verdict) => report.findings.filter((finding) => finding.verdict === verdict);
  const listed = (title, verdict) => {
    const quiet = of(verdict);
    return (
      quiet.length > 0 &&
      unfold(
        `${title} (${quiet.length})`,
        h(
          "ul",
          { class: "compact" },
          quiet.map((finding) =>
            h(
              "li",
              { "data-finding": finding.name },
              h("b", {}, `${finding.title}. `),
              finding.summary,
            ),
          ),
        ),
      )
    );
  };
  const found = of("found").sort((one, other) => other.expected_saving - one.expected_saving);
  return section(
    "findings",
    "Findings",
    "What could be saved, and by which knob.",
    found.length > 0
      ? h(
          "div",
          { class: "grid" },
          found.map((finding) => findingCard(report, finding)),
        )
      : h("p", {}, "Nothing to save was found."),
    listed("Nothing to save", "nothing"),
    listed("Too little data to say", "too_little"),
  );
}

function verification(report) {
  const seen = report.verification;
  if (seen == null) return null;
  const range = (spread) => `${number(spread.least, 0)} to ${number(spread.most, 0)}`;
  const turned = (changes) =>
    changes
      .map((change) => `${change.knob} ${knobValue(change.from)} → ${knobValue(change.to)}`)
      .join(", ");
  const best = seen.recommended?.row;
  return section(
    "verification",
    "Verified by rerun",
    `${counted(seen.seeds.length, "seed")} in virtual time, as it was and with each change; as they were: ` +
      `${number(seen.messages.mean, 0)} messages, median latency ${time(seen.p50_latency_us.mean)}.`,
    h(
      "div",
      { "data-part": "verification" },
      table(
        [
          { title: "finding", class: "text", of: (row) => capital(words(row.name)) },
          { title: "expected", of: (row) => number(row.expected.mean, 0) },
          { title: "seen", of: (row) => number(row.seen.mean, 0) },
          { title: "seen, from to", class: "wide", of: (row) => range(row.seen) },
          { title: "ratio", of: (row) => number(row.seen_of_expected) },
          { title: "median latency", class: "wide", of: (row) => time(row.p50_latency_us.mean) },
          {
            title: "passed",
            class: "wide",
            of: (row) => `${number(row.passed)} of ${number(seen.seeds.length)}`,
          },
        ],
        seen.rows,
      ),
    ),
    h(
      "p",
      { "data-part": "recommended" },
      best == null
        ? "Recommended: nothing. No change saves messages and passes as many runs."
        : `Recommended: ${turned(best.changes)}. It saves ${number(best.seen.mean, 0)} messages; ${number(best.passed)} of ${counted(seen.seeds.length, "run passes", "runs pass")}.`,
    ),
    seen.rows
      .filter((row) => row.failed_checks.length > 0)
      .map((row) =>
        h(
          "p",
          { class: "quiet" },
          `${capital(words(row.name))} fails ${row.failed_checks.map((check) => `“${check.name}” in ${counted(check.runs, "run")}`).join(", ")}.`,
        ),
      ),
  );
}

function timeline(report) {
  return section(
    "seconds",
    "Messages a second",
    "By the cause that they are charged to; above, each replica's life.",
    chart(report, "seconds"),
    report.events.length > 0 &&
      unfold(
        `Events (${number(report.events.length)})`,
        h(
          "ul",
          { class: "compact" },
          report.events.map((event) => h("li", {}, `${moment(event.at_us)}: ${event.text}`)),
        ),
      ),
  );
}

function decisions(report) {
  const rows = report.decisions;
  if (rows.length === 0) return null;
  const knob = (row) => words(row.knob.replace(/_us$/, ""));
  const value = (row, of) => (row.knob.endsWith("_us") ? time(of) : knobValue(of));
  const beyond = report.decisions_left_out;
  return section(
    "knobs",
    "What the controller decided",
    "The knobs of those that led at some time; a decision tells its reason.",
    chart(report, "knobs"),
    unfold(
      `Decisions of all replicas (${number(rows.length)})`,
      table(
        [
          { title: "at", class: "text", of: (row) => moment(row.at_us) },
          { title: "replica", class: "text", of: (row) => replica(row.member) },
          { title: "knob", class: "text", of: knob },
          { title: "from", of: (row) => value(row, row.before) },
          { title: "to", of: (row) => value(row, row.after) },
          { title: "because", class: "text", of: (row) => row.because },
        ],
        rows,
      ),
    ),
    beyond > 0 && h("p", { class: "quiet" }, `${counted(beyond, "more decision")} left out.`),
  );
}

function causes(report) {
  return section(
    "causes",
    "Messages by cause",
    "An answer is charged to what it answers: it has the same colour, but paler.",
    chart(report, "causes"),
    unfold(
      "By kind, as a table",
      table(
        [
          { title: "kind", class: "text", of: (row) => words(row.kind) },
          { title: "why", class: "text", of: (row) => row.words },
          { title: "count", of: (row) => number(row.count) },
          { title: "share", of: (row) => percent(row.share) },
          { title: "per put", of: (row) => number(row.per_put) },
          { title: "bytes", class: "wide", of: (row) => bytes(row.bytes) },
        ],
        report.table,
      ),
    ),
  );
}

function fates(report) {
  const unmet = report.fates.filter((row) => row.count === 0);
  return section(
    "fates",
    "What became of them",
    null,
    chart(report, "fates"),
    unmet.length > 0 &&
      h("p", { class: "quiet" }, `None: ${unmet.map((row) => words(row.fate)).join(", ")}.`),
  );
}

/** The matrix, whose cells show what is chosen. */
function links(report) {
  const figure = chart(report, "matrix");
  const cells = figure == null ? [] : [...figure.querySelectorAll(".mark")];
  const numbers = figure == null ? [] : [...figure.querySelectorAll(".aside")];
  const scale = figure == null ? [] : [...figure.querySelectorAll(".scale")];
  const choice = h(
    "select",
    { "aria-label": "what the matrix shows", onchange: show },
    ["sent", "bytes", "counted", "received", "unread", "lost"].map((what) => h("option", {}, what)),
  );
  function show() {
    const values = report.links.map((link) => link[choice.value]);
    const most = Math.max(1, ...values);
    const shade = (value) => Math.ceil((5 * value) / most) / 5;
    cells.forEach((cell, at) => cell.setAttribute("fill-opacity", shade(values[at])));
    numbers.forEach((text, at) => {
      text.textContent = number(values[at]);
      text.classList.toggle("fill-on-accent", shade(values[at]) > 0.6);
      text.classList.toggle("fill-ink", shade(values[at]) <= 0.6);
    });
    scale.forEach((text, at) => {
      text.textContent = number(Math.floor((most * (at + 1)) / scale.length));
    });
  }
  return section(
    "links",
    "Who sent to whom",
    null,
    h("div", { class: "controls" }, h("label", {}, "show", choice)),
    figure,
    unfold(
      "All links as a table",
      table(
        [
          { title: "from", class: "text", of: (row) => replica(row.from) },
          { title: "to", class: "text", of: (row) => replica(row.to) },
          ...["sent", "counted", "unread", "lost", "received"].map((name) => ({
            title: name,
            of: (row) => number(row[name]),
          })),
          { title: "bytes", class: "wide", of: (row) => bytes(row.bytes) },
        ],
        report.links,
      ),
    ),
  );
}

function tradeOff(report) {
  const { others_needed, one_way_us } = report.trade_off;
  return section(
    "trade_off",
    "Messages against delay",
    `The line is the floor: to commit within d one-way delays takes at least f + ⌈f/(d−1)⌉ messages, here with f = ${others_needed}. A delay is a hop of the longest way on which the ${others_needed === 1 ? "other one" : `${others_needed} others`} acknowledged. A message that served several batches counts for each, so no batch lies below the line.`,
    chart(report, "trade_off"),
    one_way_us > 0 &&
      h("p", { class: "quiet" }, `A one-way delay took ${time(one_way_us)} in the median.`),
  );
}

function percentiles(report) {
  const rows = report.latency.flatMap((row) => [
    { name: h("b", {}, row.kind), time: row.total },
    ...row.stages.map((stage) => ({ name: stage.stage, time: stage.time })),
  ]);
  return table(
    [
      { title: "", class: "text", of: (row) => row.name },
      { title: "mean", of: (row) => time(row.time.mean_us) },
      ...["p50", "p90", "p99", "max"].map((name) => ({
        title: name,
        of: (row) => time(row.time[`${name}_us`]),
      })),
    ],
    rows,
  );
}

function latency(report) {
  const story = report.story;
  return [
    section(
      "latency",
      "Where the time went",
      "Mean time of answered requests; the stages of a request follow each other and add up to its latency.",
      chart(report, "latency") ?? h("p", {}, "No request was answered."),
      unfold("Percentiles", percentiles(report)),
    ),
    story &&
      section(
        "story",
        `A slow request: ${time(story.latency_us)}`,
        `The 99th percentile, request ${story.request}.`,
        chart(report, "story"),
        unfold(
          "In sentences",
          h(
            "ol",
            { class: "compact" },
            story.lines.map((line) => h("li", {}, line)),
          ),
        ),
      ),
  ];
}

function linger(report) {
  if (report.linger.length === 0) return null;
  return section(
    "linger",
    "What waiting for company would save",
    "The same arrivals, had the leader waited longer before it sends a batch.",
    h("div", { class: "two" }, chart(report, "linger_saved"), chart(report, "linger_wait")),
  );
}
