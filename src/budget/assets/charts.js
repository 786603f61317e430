"use strict";
// The charts, drawn by Observable Plot at the width they have. Marks have classes, so that they
// can be counted; colours are the style sheet's, so that a change of theme needs no redrawing.

const seconds = (us) => us / 1e6;
const milliseconds = (us) => us / 1e3;
const base = (width, more) => ({ width, style: { fontSize: "12px", background: "none" }, ...more });

/** Who led when: from its election until it ceased, died, or the run ended. */
function leaderships(report) {
  const ends = ["stepped_down", "killed", "ended"];
  return report.events.filter((event) => event.kind === "leader").map((event) => {
    const end = report.events.find((later) =>
      later.at_us > event.at_us && later.member === event.member && (ends.includes(later.kind) || later.kind === "leader"));
    return { member: event.member, from: event.at_us, to: end?.at_us ?? report.run.duration_us };
  });
}

/** Until when each replica lived. */
function lives(report) {
  return d3.range(report.run.replicas).map((member) => {
    const death = report.events.find((event) => event.member === member && ["killed", "ended"].includes(event.kind));
    return { member, to: death?.at_us ?? report.run.duration_us };
  });
}

/** When the network was cut. */
function partitions(report) {
  const cuts = report.events.filter((event) => ["partitioned", "healed"].includes(event.kind));
  return cuts.filter((event) => event.kind === "partitioned").map((event) => {
    const end = cuts.find((later) => later.at_us > event.at_us);
    return { from: event.at_us, to: end?.at_us ?? report.run.duration_us };
  });
}

const SYMBOLS = { leader: "triangle", stepped_down: "diamond", killed: "times", ended: "times" };

/** Replicas' lives, leaders and faults, above the same time axis as the messages. */
function clusterStrip(report, width, x) {
  const rows = d3.range(report.run.replicas);
  const aboutOne = report.events.filter((event) => event.member != null);
  const aboutAll = report.events.filter((event) => event.member == null);
  const title = (event) => `${moment(event.at_us)}\n${event.text}`;
  return Plot.plot(base(width, {
    height: rows.length * (rows.length > 9 ? 11 : 18) + 12, marginLeft: 46, marginRight: 12, marginTop: 6, marginBottom: 6,
    x: { ...x, axis: null },
    y: { type: "band", domain: rows, padding: 0.3, label: null, tickSize: 0, ticks: rows.length > 9 ? rows.filter((row) => row % 5 === 0) : rows },
    symbol: { type: "identity" },
    marks: [
      Plot.rect(partitions(report), { x1: (cut) => seconds(cut.from), x2: (cut) => seconds(cut.to), fill: "var(--resend)", fillOpacity: 0.13 }),
      Plot.link(lives(report), { x1: 0, x2: (life) => seconds(life.to), y1: "member", y2: "member", stroke: "var(--line)", strokeWidth: 2, className: "life" }),
      Plot.barX(leaderships(report), { x1: (leadership) => seconds(leadership.from), x2: (leadership) => seconds(leadership.to), y: "member", fill: "var(--accent)", fillOpacity: 0.65, className: "leadership" }),
      Plot.ruleX(aboutAll, { x: (event) => seconds(event.at_us), stroke: "var(--resend)", strokeDasharray: "4 2", className: "event" }),
      Plot.dot(aboutOne, {
        x: (event) => seconds(event.at_us), y: "member", symbol: (event) => SYMBOLS[event.kind] ?? "circle", r: 4.5, strokeWidth: 2,
        stroke: (event) => (event.kind === "leader" ? "var(--ink)" : "var(--bad)"), fill: "var(--surface)", className: "event",
      }),
      Plot.tip(aboutOne, Plot.pointer({ x: (event) => seconds(event.at_us), y: "member", title })),
      Plot.tip(aboutAll, Plot.pointerX({ x: (event) => seconds(event.at_us), title })),
    ],
  }));
}

function secondsChart(report) {
  const parts = report.seconds.flatMap((counts, second) =>
    report.causes.map((cause, at) => ({ second, cause, count: counts[at] })).filter((part) => part.count > 0));
  const totals = report.seconds.map((counts, second) => ({ second, counts, total: d3.sum(counts) }));
  const title = (row) => [`second ${row.second}: ${number(row.total)} messages`,
    ...report.causes.flatMap((cause, at) => (row.counts[at] > 0 ? [`${words(cause)} ${number(row.counts[at])}`] : []))].join("\n");
  return chart("seconds", "Messages in each second by cause, with leaders and faults above", (width) => {
    const x = { domain: [0, Math.max(report.seconds.length, seconds(report.run.duration_us))], label: "seconds →" };
    return [clusterStrip(report, width, x), Plot.plot(base(width, {
      height: width < 500 ? 210 : 260, marginLeft: 46, marginRight: 12, marginBottom: 36, x, y: { grid: true, label: "↑ messages a second" },
      marks: [
        Plot.rectY(parts, {
          x1: (part) => part.second, x2: (part) => part.second + 1, y: "count", fill: (part) => causeColour(part.cause),
          insetLeft: 0.5, insetRight: 0.5, className: "mark",
        }),
        Plot.ruleY([0], { stroke: "var(--line)" }),
        Plot.tip(totals, Plot.pointerX({ x: (row) => row.second + 0.5, y: "total", title })),
      ],
    }))];
  });
}

/** A shade for a share of the largest; text on it changes side where it would get lost. */
const shade = (share) => `color-mix(in oklab, var(--accent) ${Math.round(100 * share)}%, var(--soft))`;

function matrixChart(report, what) {
  const rows = d3.range(report.run.replicas);
  const most = d3.max(report.links, (link) => link[what]) || 1;
  return chart("matrix", `Messages ${what}, by sender and receiver`, (width) => {
    const side = Math.min(width, 440);
    const small = rows.length > 9;
    const ticks = small ? rows.filter((row) => row % 5 === 0) : rows;
    return Plot.plot(base(side, {
      height: side, marginLeft: 42, marginTop: 34, marginRight: 4, marginBottom: 4, padding: 0.05,
      x: { type: "band", domain: rows, axis: "top", label: "receiver →", tickSize: 0, ticks },
      y: { type: "band", domain: rows, label: "sender ↓", tickSize: 0, ticks },
      marks: [
        Plot.cell(report.links, { x: "to", y: "from", fill: (link) => shade(link[what] / most), className: "mark" }),
        small ? null : Plot.text(report.links, {
          x: "to", y: "from", text: (link) => number(link[what]),
          fill: (link) => (link[what] / most > 0.68 ? "var(--on-accent)" : "var(--ink)"),
        }),
        Plot.tip(report.links, Plot.pointer({
          x: "to", y: "from",
          title: (link) => `${link.from} → ${link.to}\nsent ${number(link.sent)}, ${bytes(link.bytes)}\ncounted ${number(link.counted)}, received ${number(link.received)}\nunread ${number(link.unread)}, lost ${number(link.lost)}`,
        })),
      ],
    }));
  });
}

function tradeOffChart(report) {
  const { floor, points } = report.trade_off;
  const batches = points.map(([tenths, messages, count]) => ({ delays: tenths / 10, messages, count }));
  const furthest = Math.max(d3.max(batches, (point) => point.delays) ?? 0, (d3.max(floor, (point) => point[0]) ?? 2) + 1);
  const curve = [...floor, [furthest, floor.at(-1)?.[1] ?? 0]];
  const highest = Math.max(d3.max(batches, (point) => point.messages) ?? 0, d3.max(floor, (point) => point[1]) ?? 0);
  const many = d3.max(batches, (point) => point.count) ?? 1;
  return chart("trade_off", "Messages a batch against its delay, with the floor", (width) => Plot.plot(base(width, {
    height: width < 500 ? 260 : 300, marginLeft: 46, marginRight: 14, marginBottom: 38,
    x: { type: furthest > 12 ? "sqrt" : "linear", domain: [0, furthest], label: "one-way delays until the commit →", grid: true, ticks: furthest > 12 ? [0, 2, 4, ...d3.ticks(0, furthest, 5).filter((tick) => tick > 5)] : undefined, tickFormat: (delays) => number(delays) },
    y: { domain: [0, highest * 1.08], ticks: highest > 12 ? undefined : d3.range(0, highest + 1), tickFormat: "d", grid: true, label: "↑ messages a batch" },
    r: { domain: [0, many], range: [0, 13] },
    marks: [
      Plot.dot(batches, { x: "delays", y: "messages", r: (point) => point.count, fill: "var(--replicate)", fillOpacity: 0.5, stroke: "var(--replicate)", className: "mark" }),
      Plot.line(curve, { curve: "step-after", stroke: "var(--ink)", strokeWidth: 2, className: "floor-curve" }),
      Plot.dot(floor, { x: (point) => point[0], y: (point) => point[1], r: 3.5, fill: "var(--ink)", className: "floor" }),
      Plot.tip(batches, Plot.pointer({
        x: "delays", y: "messages",
        title: (point) => `${number(point.count)} ${point.count === 1 ? "batch" : "batches"}\n${number(point.messages)} messages, ${number(point.delays, 1)} delays`,
      })),
    ],
  })));
}

/** Shades of one row of colours for the stages of a request, which come in an order. */
function stageColours(report) {
  const stages = [...new Set([...report.latency.flatMap((row) => row.stages.map((stage) => stage.stage)), ...(report.story?.stages.map(([stage]) => stage) ?? [])])];
  return new Map(stages.map((stage, at) => [stage, d3.interpolateViridis(0.22 + (0.68 * at) / Math.max(1, stages.length - 1))]));
}

function latencyChart(report, colours) {
  return chart("latency", "Mean time of requests by stage", (width) => report.latency.flatMap((row) => [
    h("p", {}, h("b", {}, row.kind), ` · ${number(row.count)} requests · mean ${time(row.total.mean_us)}`),
    Plot.plot(base(width, {
      height: 62, marginLeft: 8, marginRight: 14, marginTop: 2, marginBottom: 34,
      x: { label: "milliseconds →", nice: false },
      marks: [
        Plot.barX(row.stages.filter((stage) => stage.time.mean_us > 0), {
          x: (stage) => milliseconds(stage.time.mean_us), fill: (stage) => colours.get(stage.stage), insetRight: 0.5, className: "mark",
          title: (stage) => `${stage.stage}: mean ${time(stage.time.mean_us)}, p99 ${time(stage.time.p99_us)}`,
        }),
        Plot.text(labelled(row), Plot.stackX({
          x: (stage) => milliseconds(stage.time.mean_us), text: (stage) => (stage.shown ? stage.stage : null),
          fill: (stage) => (d3.lab(colours.get(stage.stage)).l > 55 ? "#101317" : "#ffffff"),
        })),
      ],
    })),
  ]));
}

/** The stages of a latency, and whether each is broad enough in the chart to carry its name. */
const labelled = (row) => row.stages.map((stage) => ({ ...stage, shown: stage.time.mean_us > 0.22 * row.total.mean_us }));

function storyChart(report, colours) {
  let at = 0;
  const stages = report.story.stages.map(([stage, lasted]) => ({ stage, lasted, from: at, to: (at += lasted) })).filter((stage) => stage.lasted !== 0);
  return chart("story", "The request at the 99th percentile, stage by stage", (width) => Plot.plot(base(width, {
    height: stages.length * 24 + 40, marginLeft: 92, marginRight: 66, marginTop: 4, marginBottom: 36,
    x: { label: "milliseconds after sending →" },
    y: { type: "band", domain: stages.map((stage) => stage.stage), label: null, tickSize: 0, padding: 0.25 },
    marks: [
      Plot.barX(stages, { x1: (stage) => milliseconds(stage.from), x2: (stage) => milliseconds(stage.to), y: "stage", fill: (stage) => colours.get(stage.stage), className: "mark" }),
      Plot.text(stages, { x: (stage) => milliseconds(Math.max(stage.from, stage.to)), y: "stage", text: (stage) => time(stage.lasted), dx: 5, textAnchor: "start", fill: "var(--ink)" }),
    ],
  })));
}

/** Lingers that have room for a tick on a scale of square roots. */
function lingerTicks(report) {
  const root = (point) => Math.sqrt(point.linger_us);
  const far = d3.max(report.linger, root);
  const ticks = [];
  for (const point of report.linger) if (ticks.length === 0 || root(point) - root(ticks.at(-1)) > 0.1 * far) ticks.push(point);
  return ticks.map((point) => milliseconds(point.linger_us));
}

function lingerChart(report, name, label, value) {
  return chart(`linger_${name}`, label, (width) => Plot.plot(base(width, {
    height: 230, marginLeft: 56, marginRight: 14, marginBottom: 38,
    x: { label: "linger, milliseconds →", type: "sqrt", ticks: lingerTicks(report), tickFormat: (linger) => number(linger) }, y: { grid: true, label: `↑ ${label}` },
    marks: [
      Plot.ruleY([0], { stroke: "var(--line)" }),
      Plot.line(report.linger, { x: (point) => milliseconds(point.linger_us), y: value, stroke: "var(--accent)", strokeWidth: 2 }),
      Plot.dot(report.linger, { x: (point) => milliseconds(point.linger_us), y: value, r: 3.5, fill: "var(--accent)", className: "mark" }),
      Plot.tip(report.linger, Plot.pointerX({
        x: (point) => milliseconds(point.linger_us), y: value,
        title: (point) => `linger ${time(point.linger_us)}\n${number(point.batches)} batches\n${number(point.messages_saved, 0)} messages saved\n${time(point.added_wait_us)} added to a put`,
      })),
    ],
  })));
}
