"use strict";
// The space-time diagram: a line a replica, an arrow a message, a window of the run at a time.

const WINDOWS_US = [1_000_000, 100_000, 10_000, 2_000];

/** Messages on their way, and events, between two moments. */
function inWindow(report, from, to) {
  const messages = report.space_time.messages
    .filter(([sent, , , ended]) => sent < to && Math.max(sent, ended) >= from)
    .map(([sent, sender, receiver, ended, lost, cause]) => {
      // Where a lost message was last seen need not be known; it is drawn some way along.
      const way = lost ? 0.6 : 1;
      const arrives = Math.max(sent, ended);
      return { sent, sender, receiver, arrives, lost: lost === 1, cause: report.causes[cause], end: sender + way * (receiver - sender) };
    });
  const events = report.events.filter((event) => event.at_us >= from && event.at_us < to);
  return { messages, events };
}

function drawWindow(report, from, to, width) {
  const { messages, events } = inWindow(report, from, to);
  const rows = d3.range(report.run.replicas);
  const tall = rows.length > 9 ? 24 : 46;
  const x = (us) => milliseconds(us);
  const within = (us) => Math.min(to, Math.max(from, us));
  const leading = leaderships(report).filter((leadership) => leadership.from < to && leadership.to > from);
  const [lost, arrived] = [messages.filter((message) => message.lost), messages.filter((message) => !message.lost)];
  const arrow = { x1: (message) => x(message.sent), y1: "sender", x2: (message) => x(message.arrives), y2: "end", stroke: (message) => causeColour(message.cause), strokeWidth: 1.6 };
  const title = (message) =>
    `${words(message.cause)}: ${message.sender} → ${message.receiver}\nsent ${moment(message.sent)}\n${message.lost ? "lost" : `arrived ${time(message.arrives - message.sent)} later`}`;
  return Plot.plot(base(width, {
    height: rows.length * tall + 52, marginLeft: 34, marginRight: 14, marginTop: 16, marginBottom: 36, clip: true,
    x: { domain: [x(from), x(to)], label: "milliseconds of the run →", ticks: width < 500 ? 3 : 8 },
    y: { domain: [rows.length - 0.6, -0.4], ticks: rows, tickFormat: (row) => `${row}`, tickSize: 0, label: "replica", labelArrow: "none" },
    marks: [
      Plot.rect(partitions(report).filter((cut) => cut.from < to && cut.to > from), {
        x1: (cut) => x(within(cut.from)), x2: (cut) => x(within(cut.to)), fill: "var(--resend)", fillOpacity: 0.1 }),
      Plot.link(lives(report), { x1: x(from), x2: (life) => x(within(life.to)), y1: "member", y2: "member", stroke: "var(--retry)", className: "life" }),
      Plot.link(leading, { x1: (leadership) => x(within(leadership.from)), x2: (leadership) => x(within(leadership.to)), y1: "member", y2: "member", stroke: "var(--accent)", strokeWidth: 5, strokeOpacity: 0.4, className: "leadership" }),
      Plot.ruleX(events, { x: (event) => x(event.at_us), stroke: "var(--bad)", strokeDasharray: "2 3", className: "event" }),
      Plot.arrow(arrived, { ...arrow, headLength: 5, className: "message" }),
      Plot.arrow(lost, { ...arrow, headLength: 0, strokeDasharray: "4 3", className: "lost" }),
      Plot.dot(lost, { x: (message) => x(message.arrives), y: "end", symbol: "times", r: 4, stroke: "var(--bad)", strokeWidth: 1.8, className: "cross" }),
      Plot.tip(messages, Plot.pointer({ x: (message) => x((message.sent + message.arrives) / 2), y: (message) => (message.sender + message.end) / 2, title, maxRadius: 30 })),
    ],
  }));
}

/** The window of `size` in which the first message at or after `from` was sent, else that of `from`. */
function windowOf(report, from, size) {
  const first = d3.min(report.space_time.messages, ([sent]) => (sent >= from ? sent : undefined)) ?? from;
  return Math.floor(first / size);
}

function spaceTime(report) {
  const messages = report.space_time.messages;
  const end = report.space_time.left_out > 0 ? d3.max(messages, ([sent]) => sent) ?? 0 : report.run.duration_us;
  const last = () => Math.max(0, Math.ceil(end / state.size) - 1);
  const state = { size: WINDOWS_US[0], place: 0 };
  const show = (place) => {
    state.place = Math.min(last(), Math.max(0, place));
    update();
  };
  const button = (label, what, onclick, more) => h("button", { type: "button", "aria-label": what, title: what, onclick, ...more }, label);
  const previous = button("◀", "previous window", () => show(state.place - 1), { "data-step": "previous" });
  const next = button("▶", "next window", () => show(state.place + 1), { "data-step": "next" });
  const slider = h("input", { type: "range", min: 0, step: 1, "aria-label": "window of the run", oninput: () => show(Number(slider.value)) });
  const sizes = WINDOWS_US.map((size) => button(time(size), `show ${time(size)} at a time`, () => {
    // Into the old window's first message when zooming in; the window around it when zooming out.
    const from = state.place * state.size;
    const place = size < state.size ? windowOf(report, from, size) : Math.floor(from / size);
    state.size = size;
    show(place);
  }, { "data-size": size }));
  const jump = h("select", { "aria-label": "jump to an event", onchange: () => jump.value !== "" && show(Math.floor(Number(jump.value) / state.size)) },
    h("option", { value: "" }, "event…"),
    report.events.map((event) => h("option", { value: event.at_us }, `${(event.at_us / 1e6).toFixed(2)} s: ${event.text}`)));
  const said = h("output", {});
  const happened = h("ul", { class: "quiet compact" });
  const figure = chart("space_time", "Space-time diagram; arrow keys step through the run", (width) =>
    drawWindow(report, state.place * state.size, (state.place + 1) * state.size, width));
  figure.tabIndex = 0;
  figure.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (step && !event.altKey && !event.ctrlKey && !event.metaKey) {
      event.preventDefault();
      show(state.place + step);
    }
  });
  function update() {
    const [from, to] = [state.place * state.size, (state.place + 1) * state.size];
    const seen = inWindow(report, from, to);
    const lost = d3.sum(seen.messages, (message) => message.lost);
    slider.max = last();
    slider.value = state.place;
    previous.disabled = state.place === 0;
    next.disabled = state.place === last();
    sizes.forEach((size) => size.setAttribute("aria-pressed", Number(size.dataset.size) === state.size));
    said.value = `${moment(from)} to ${moment(to)}: ${number(seen.messages.length)} messages, ${number(lost)} lost`;
    happened.replaceChildren(...seen.events.map((event) => h("li", {}, `${moment(event.at_us)}: ${event.text}`)));
    Object.assign(figure.dataset, { from, to });
    const drawn = charts.find((chart) => chart.figure === figure);
    if (drawn.width > 0) figure.replaceChildren(drawWindow(report, from, to, drawn.width));
  }
  show(windowOf(report, 0, state.size));
  return section("space_time", "Space and time",
    "A line a replica, an arrow a message; the thick line leads. Broken with a cross: lost. Arrow keys step through the run once the diagram is selected.",
    h("div", { class: "controls" }, previous, slider, next, said, sizes, report.events.length > 0 && jump),
    causeLegend(report), figure, happened,
    report.space_time.left_out > 0 && h("p", { class: "quiet" },
      `${number(report.space_time.left_out)} further messages of the run are counted above but not drawn here.`));
}
