"use strict";
// The space-time diagram: a line a replica, an arrow a message, a window of the run at a time.

const SIZES_US = [1_000_000, 100_000, 10_000, 2_000];
const LEAST_US = 40;
const MOST_DRAWN = 3000;
/** A window without a known hop: ten milliseconds. */
const USUAL_HOP_US = 600;

/** What `#space_time=FROM-TO&run=N` names; null if the address names no window. */
function windowOfAddress() {
  const found = /^#space_time=(\d+)-(\d+)(?:&run=(\d+))?$/.exec(location.hash);
  return (
    found && {
      from: Number(found[1]),
      to: Number(found[2]),
      report: reports[Number(found[3] ?? 0)],
    }
  );
}

/** The run that the address names is shown at its window; any other address is a section's. */
function showWindowOfAddress() {
  const place = windowOfAddress();
  if (place) document.getElementById("space_time").scrollIntoView();
  else if (/^#\w+$/.test(location.hash)) document.querySelector(location.hash)?.scrollIntoView();
}

/** A message of the report with names for its fields. */
function messageOf(report, at) {
  const [sent, from, to, ended, lost, cause, sort, fate, term, first, entries, before] =
    report.space_time.messages[at];
  const [kind, purpose, form] = report.space_time.sorts[sort];
  return {
    at,
    sent,
    from,
    to,
    ended: Math.max(sent, ended),
    lost: lost === 1,
    cause: report.causes[cause],
    kind,
    purpose,
    form,
    fate: report.fates[fate].fate,
    term,
    first,
    entries,
    before,
  };
}

/** Who led when: from its election until it ceased, died, or the run ended. */
function leaderships(report) {
  const ends = ["stepped_down", "killed", "ended", "leader"];
  return report.events
    .filter((event) => event.kind === "leader")
    .map((event) => {
      const end = report.events.find(
        (later) =>
          later.at_us > event.at_us && later.member === event.member && ends.includes(later.kind),
      );
      return { member: event.member, from: event.at_us, to: end?.at_us ?? report.run.duration_us };
    });
}

function partitions(report) {
  const cuts = report.events.filter((event) => ["partitioned", "healed"].includes(event.kind));
  return cuts
    .filter((event) => event.kind === "partitioned")
    .map((event) => {
      const end = cuts.find((later) => later.at_us > event.at_us);
      return { from: event.at_us, to: end?.at_us ?? report.run.duration_us };
    });
}

const deathOf = (report, member) =>
  report.events.find((event) => event.member === member && ["killed", "ended"].includes(event.kind))
    ?.at_us ?? report.run.duration_us;

/** Messages on their way, events and answers between two moments. */
function inWindow(report, from, to) {
  const messages = [];
  report.space_time.messages.forEach(([sent, , , ended], at) => {
    if (sent < to && Math.max(sent, ended) >= from) messages.push(messageOf(report, at));
  });
  const within = (at) => at >= from && at < to;
  return {
    messages,
    events: report.events.filter((event) => within(event.at_us)),
    answers: report.space_time.answers.filter(([at]) => within(at)),
  };
}

/**
 * Half of the window around an event: as far as to what it leads to, an election or an answer. An answer that comes
 * much later has little to do with it; and the event stays in the middle.
 */
function reach(report, event, end) {
  const hop = report.trade_off.one_way_us || USUAL_HOP_US;
  const soon = event.at_us + 200_000;
  const answer = () =>
    report.space_time.answers.find(([at, , ok]) => ok && at > event.at_us && at < soon)?.[0];
  const election = () =>
    report.events.find((later) => later.kind === "leader" && later.at_us > event.at_us)?.at_us;
  const next = ["leader", "healed"].includes(event.kind) ? answer() : (election() ?? answer());
  const half = Math.max(8 * hop, next == null ? 0 : 1.15 * (next - event.at_us));
  return Math.max(LEAST_US, Math.min(2e6, half, event.at_us, end - event.at_us));
}

/** The first election, from its campaign to a little after it; without one, the first messages. */
function opening(report) {
  const hop = report.trade_off.one_way_us || USUAL_HOP_US;
  const won = report.events.find((event) => event.kind === "leader")?.at_us;
  if (won == null) {
    const first = report.space_time.messages[0]?.[0] ?? 0;
    return { from: first - hop, to: first + 15 * hop };
  }
  const campaign = report.space_time.messages.find(
    ([sent, , , , , cause]) =>
      sent <= won && sent > won - 30 * hop && ["campaign", "retry"].includes(report.causes[cause]),
  )?.[0];
  const from = Math.min(campaign ?? won, won - 4 * hop) - hop;
  return { from, to: Math.max(from + 12 * hop, won + 4 * hop) };
}

const line = (x1, y1, x2, y2, more) => s("line", { x1, y1, x2, y2, ...more });

/** The head of an arrow: filled for what is sent, open for a yes, a bar for a no. */
function head(message, x, y, angle) {
  const form =
    message.form === "ack"
      ? "M-7-4L0 0L-7 4"
      : message.form === "reject"
        ? "M-2-5V5"
        : "M0 0L-8-3.6V3.6Z";
  const filled = ["own", "relay"].includes(message.form);
  return s("path", {
    d: form,
    transform: `translate(${x} ${y}) rotate(${(angle * 180) / Math.PI})`,
    "stroke-width": 1.6,
    class: `stroke-${message.cause} ${filled ? `fill-${message.cause}` : "no-fill"}`,
  });
}

/** How a message's line looks: votes are broken, answers thin, refusals dotted. */
function looks(message) {
  const names = [`stroke-${message.cause}`, "travel"];
  if (message.kind.includes("vote")) names.push("to-vote");
  if (message.form === "ack") names.push("says-yes");
  if (message.form === "reject") names.push("says-no");
  return names.join(" ");
}

function arrow(message, x, y) {
  // How far a lost message came need not be known; it is drawn some way along.
  const way = message.lost ? 0.6 : 1;
  const [x1, y1, x2] = [x(message.sent), y(message.from), x(message.ended)];
  const y2 = y1 + way * (y(message.to) - y1);
  const angle = Math.atan2(y2 - y1, x2 - x1);
  const end = message.lost
    ? s("path", {
        d: `M${x2 - 4} ${y2 - 4}l8 8m-8 0l8-8`,
        class: "cross stroke-bad no-fill",
        "stroke-width": 2,
      })
    : head(message, x2, y2, angle);
  return s(
    "g",
    { class: message.lost ? "lost" : "message", "data-at": message.at },
    line(x1, y1, x2, y2, { class: looks(message) }),
    end,
    line(x1, y1, x2, y2, { class: "reach" }),
  );
}

/** Some `wanted` ticks, and the round step between them. A short window may have only one. */
function ticksOf(from, to, wanted) {
  const rough = (to - from) / wanted;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= rough);
  const ticks = [];
  for (let tick = Math.ceil(from / step) * step; tick <= to; tick += step) ticks.push(tick);
  return { ticks, step };
}

/** The diagram of a window, at a width. */
function drawWindow(report, seen, { from, to }, width) {
  const replicas = report.run.replicas;
  const [left, top] = [44, 22];
  const tall = replicas > 9 ? 26 : 54;
  const [room, height] = [width - left - 8, replicas * tall];
  const x = (us) => ((us - from) / (to - from)) * room;
  const y = (row) => top + (row + 0.5) * tall;
  const within = (us) => Math.min(room + 20, Math.max(-20, x(us)));
  const inner = s("svg", { x: left, y: 0, width: room, height: top + height + 8 });
  const rows = [...Array(replicas).keys()];
  const { ticks, step } = ticksOf(from, to, width < 500 ? 3 : 7);
  const digits = Math.max(0, Math.ceil(-Math.log10(step / 1000)));
  inner.append(
    ...partitions(report)
      .filter((cut) => cut.from < to && cut.to > from)
      .map((cut) =>
        s("rect", {
          x: within(cut.from),
          width: within(cut.to) - within(cut.from),
          y: top,
          height,
          class: "fill-cut",
        }),
      ),
    ...ticks.map((tick) => line(x(tick), top, x(tick), top + height, { class: "stroke-soft" })),
    ...rows.map((row) =>
      line(0, y(row), Math.max(0, within(deathOf(report, row))), y(row), {
        class: "life thick stroke-line",
      }),
    ),
    ...leaderships(report)
      .filter((led) => led.from < to && led.to > from)
      .map((led) =>
        line(within(led.from), y(led.member), within(led.to), y(led.member), {
          class: "leadership stroke-accent",
          "stroke-width": 7,
          "stroke-opacity": 0.35,
        }),
      ),
    ...seen.events.map((event) =>
      s(
        "g",
        { class: "event", "data-tip": `${moment(event.at_us, 6)}\n${event.text}` },
        line(x(event.at_us), top - 4, x(event.at_us), top + height, { class: "dashed stroke-bad" }),
        s(
          "text",
          {
            x: x(event.at_us) + (x(event.at_us) > 0.7 * room ? -4 : 4),
            y: 12,
            class: `fill-bad ${x(event.at_us) > 0.7 * room ? "end" : ""}`,
          },
          seen.events.length < 5 ? event.text : "",
        ),
      ),
    ),
    ...seen.answers.map(([at, member, ok]) =>
      s("path", {
        d: `M${x(at)} ${y(member) + 3}l4 7h-8z`,
        class: `answer ${ok ? "fill-good" : "fill-bad"}`,
        "data-tip": `${moment(at, 6)}\n${replica(member)} answers a client: ${ok ? "ok" : "try again, or elsewhere"}`,
      }),
    ),
    ...seen.messages.slice(0, MOST_DRAWN).map((message) => arrow(message, x, y)),
  );
  return s(
    "svg",
    { width, height: top + height + 34 },
    rows.map((row) =>
      s("text", { x: left - 6, y: y(row) + 4, class: "end fill-quiet" }, replica(row)),
    ),
    inner,
    ticks.map((tick) =>
      s(
        "text",
        {
          x: left + x(tick),
          y: top + height + 24,
          class: `${x(tick) > room - 40 ? "end" : "middle"} fill-quiet`,
        },
        `${(tick / 1000).toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits })} ms`,
      ),
    ),
  );
}

/** What a message was for, what it carried, what became of it, what caused it and what it led to. */
function tell(report, message, after) {
  const name = (one) =>
    `${replica(one.from)} → ${replica(one.to)}: ${words(one.kind)}, ${one.purpose}`;
  const carried =
    message.entries === 0
      ? `${message.form === "own" || message.form === "relay" ? "no entries" : `up to entry ${message.first}`}`
      : message.entries === 1
        ? `entry ${message.first}`
        : `entries ${message.first} to ${message.first + message.entries - 1}`;
  const took = time(message.ended - message.sent);
  const lines = [
    name(message),
    `sent at ${moment(message.sent, 6)}, term ${message.term}${message.kind.includes("vote") ? "" : `, ${carried}`}`,
    message.lost
      ? `${words(message.fate)}, last seen ${took} later`
      : `${words(message.fate)} after ${took}`,
  ];
  for (let before = message.before; before >= 0;) {
    const cause = messageOf(report, before);
    lines.push(`caused by ${name(cause)}`);
    before = cause.before;
  }
  for (const next of (after.get(message.at) ?? []).slice(0, 4)) {
    const effect = messageOf(report, next);
    lines.push(`led to ${name(effect)} (${words(effect.fate)})`);
  }
  return lines.join("\n");
}

/** The samples of a key: lines and heads of every form that the run has. */
function sampleKey(report) {
  const sorts = report.space_time.sorts;
  const has = (vote, forms) =>
    sorts.some(([kind, , form]) => kind.includes("vote") === vote && forms.includes(form));
  const samples = [
    [false, ["own", "relay"], "append"],
    [false, ["ack"], "yes to an append"],
    [false, ["reject"], "no to an append"],
    [true, ["own"], "asks for a vote"],
    [true, ["ack"], "vote given"],
    [true, ["reject"], "vote refused"],
  ]
    .filter(([vote, forms]) => has(vote, forms))
    .map(([vote, forms, text]) => {
      const message = { kind: vote ? "vote" : "append", form: forms[0], cause: "ink" };
      return h(
        "span",
        {},
        s(
          "svg",
          { width: 40, height: 14 },
          line(2, 7, 36, 7, { class: looks(message) }),
          head(message, 38, 7, 0),
        ),
        text,
      );
    });
  const mark = (d, colour, text) =>
    h("span", {}, s("svg", { width: 14, height: 14 }, s("path", { d, class: colour })), text);
  const charged = new Set(report.table.map((row) => row.cause));
  return h(
    "div",
    { class: "legend" },
    samples,
    mark("M3 3l8 8m-8 0l8-8", "stroke-bad no-fill thick", "lost"),
    mark("M7 2l5 9h-10z", "fill-good", "answers a client"),
    report.space_time.answers.some(([, , ok]) => !ok) &&
      mark("M7 2l5 9h-10z", "fill-bad", "sends a client elsewhere"),
    mark("M0 3h14v8h-14z", "fill-accent faint", "leads"),
    report.causes
      .filter((cause) => charged.has(cause))
      .map((cause) => mark("M1 1h12v12h-12z", `fill-${cause}`, words(cause))),
  );
}
