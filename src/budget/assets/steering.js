"use strict";
// The space-time diagram's section: which window is shown, and what moves it.

/**
 * The diagram of a report. A twin moves as its peers do, has a window, id and title of its own, and leaves the page's
 * address alone.
 */
function spaceTime(report, twin) {
  const { messages, left_out } = report.space_time;
  const end = Math.max(
    LEAST_US,
    left_out > 0 ? (messages.at(-1)?.[0] ?? 0) : report.run.duration_us,
  );
  const state = { from: 0, to: end };
  const after = new Map();
  messages.forEach((message, at) => {
    if (message[11] >= 0) after.set(message[11], [...(after.get(message[11]) ?? []), at]);
  });
  const button = (label, what, onclick, more) =>
    h("button", { type: "button", "aria-label": what, title: what, onclick, ...more }, label);
  const show = (from, to, keep) => {
    const size = Math.round(Math.min(end, Math.max(LEAST_US, to - from)));
    state.from = Math.round(Math.min(end - size, Math.max(0, from)));
    state.to = state.from + size;
    if (!keep && twin) {
      twin.peers.forEach((peer) => peer(state.from, state.to));
    } else if (!keep) {
      const run = reports.indexOf(report);
      history.replaceState(
        null,
        "",
        `#space_time=${state.from}-${state.to}${run > 0 ? `&run=${run}` : ""}`,
      );
    }
    update();
  };
  const size = () => state.to - state.from;
  const move = (windows) => show(state.from + windows * size(), state.to + windows * size());
  const zoom = (factor, around = (state.from + state.to) / 2) =>
    show(around - (around - state.from) * factor, around + (state.to - around) * factor);
  const centre = (event) => {
    const half = reach(report, event, end);
    show(event.at_us - half, event.at_us + half);
  };
  const step = (direction) => {
    const middle = (state.from + state.to) / 2;
    const beyond = report.events.filter((event) => direction * (event.at_us - middle) > 1);
    const next = direction > 0 ? beyond[0] : beyond.at(-1);
    if (next) centre(next);
  };
  const previous = button("◀", "previous window", () => move(-1), { "data-step": "previous" });
  const next = button("▶", "next window", () => move(1), { "data-step": "next" });
  const slider = h("input", {
    type: "range",
    min: 0,
    max: 1000,
    step: 1,
    "aria-label": "place in the run",
    oninput: () => {
      const from = (Number(slider.value) / 1000) * (end - size());
      show(from, from + size());
    },
  });
  const sizes = SIZES_US.filter((us) => us < end).map((us) =>
    button(
      time(us),
      `show ${time(us)} at a time`,
      () => {
        const middle = (state.from + state.to) / 2;
        show(middle - us / 2, middle + us / 2);
      },
      { "data-size": us },
    ),
  );
  const jump = h(
    "select",
    {
      "aria-label": "jump to an event",
      onchange: () => {
        if (jump.value !== "") centre(report.events[Number(jump.value)]);
      },
    },
    h("option", { value: "" }, "event…"),
    report.events.map((event, at) =>
      h("option", { value: at }, `${(event.at_us / 1e6).toFixed(2)} s: ${event.text}`),
    ),
  );
  const said = h("output", {});
  const figure = h("figure", {
    "data-chart": "space_time",
    tabindex: 0,
    role: "group",
    "aria-label": "Space-time diagram",
  });
  const drawing = h("div", {});
  figure.append(drawing);
  function update() {
    const seen = inWindow(report, state.from, state.to);
    const lost = seen.messages.filter((message) => message.lost).length;
    slider.value = end > size() ? (1000 * state.from) / (end - size()) : 0;
    previous.disabled = state.from === 0;
    next.disabled = state.to >= end;
    sizes.forEach((choice) =>
      choice.setAttribute("aria-pressed", Number(choice.dataset.size) === size()),
    );
    const digits = size() < 20_000 ? 6 : 3;
    said.value =
      `${moment(state.from, digits)} to ${moment(state.to, digits)} (${time(size())}): ${counted(seen.messages.length, "message")}, ${number(lost)} lost` +
      (seen.messages.length > MOST_DRAWN
        ? `; the first ${number(MOST_DRAWN)} are drawn, zoom in for the others`
        : "");
    Object.assign(figure.dataset, { from: state.from, to: state.to });
    if (drawing.clientWidth > 0)
      drawing.replaceChildren(drawWindow(report, seen, state, drawing.clientWidth));
  }
  const keys = {
    ArrowLeft: () => move(-0.5),
    ArrowRight: () => move(0.5),
    "+": () => zoom(0.5),
    "=": () => zoom(0.5),
    "-": () => zoom(2),
    Home: () => show(0, size()),
    End: () => show(end - size(), end),
    n: () => step(1),
    p: () => step(-1),
  };
  figure.addEventListener("keydown", (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey || !keys[event.key]) return;
    event.preventDefault();
    keys[event.key]();
  });
  const timeAt = (event) => {
    const box = drawing.getBoundingClientRect();
    return state.from + ((event.clientX - box.left - 44) / (box.width - 52)) * size();
  };
  // The wheel scrolls the page unless the diagram has been chosen, or Ctrl is held.
  figure.addEventListener(
    "wheel",
    (event) => {
      if (!event.ctrlKey && document.activeElement !== figure) return;
      event.preventDefault();
      if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY))
        move((event.deltaX || event.deltaY) / 1000);
      else zoom(1.0015 ** event.deltaY, timeAt(event));
    },
    { passive: false },
  );
  let drag = null;
  figure.addEventListener("pointerdown", (event) => {
    drag = { x: event.clientX, ...state };
  });
  addEventListener("pointerup", () => {
    drag = null;
  });
  figure.addEventListener("pointermove", (event) => {
    if (drag && event.buttons === 1) {
      const moved = ((drag.x - event.clientX) / (drawing.clientWidth - 52)) * (drag.to - drag.from);
      if (Math.abs(drag.x - event.clientX) > 3) show(drag.from + moved, drag.to + moved);
    }
  });
  figure.addEventListener("pointerover", (event) => {
    const chosen = event.target.closest("[data-at]");
    figure.querySelectorAll(".near").forEach((one) => one.classList.remove("near"));
    if (!chosen) return;
    const message = messageOf(report, Number(chosen.dataset.at));
    chosen.dataset.tip = tell(report, message, after);
    const chain = [...(after.get(message.at) ?? [])];
    for (let at = message.at; at >= 0; at = messages[at][11]) chain.push(at);
    chain.forEach((at) => figure.querySelector(`[data-at="${at}"]`)?.classList.add("near"));
  });
  new ResizeObserver(update).observe(drawing);
  const place = windowOfAddress();
  const { from, to } = twin ?? (place?.report === report ? place : opening(report));
  show(from, to, true);
  twin?.peers.push((from, to) => show(from, to, true));
  const follow = () => {
    const named = windowOfAddress();
    if (!twin && named?.report === report && figure.isConnected) show(named.from, named.to, true);
  };
  addEventListener("hashchange", follow);
  return section(
    twin?.id ?? "space_time",
    twin?.title ?? "Space and time",
    "A line a replica, an arrow a message. Point at an arrow for its story: what it was for, what caused it, what became of it.",
    h(
      "div",
      { class: "controls" },
      previous,
      slider,
      next,
      said,
      button("−", "zoom out", () => zoom(2)),
      button("+", "zoom in", () => zoom(0.5)),
      sizes,
      report.events.length > 0 && jump,
    ),
    sampleKey(report),
    figure,
    h(
      "p",
      { class: "quiet wide" },
      "Drag to move. Once the diagram is chosen: the wheel, ",
      h("kbd", {}, "+"),
      " and ",
      h("kbd", {}, "−"),
      " zoom; ",
      h("kbd", {}, "←"),
      " ",
      h("kbd", {}, "→"),
      " move; ",
      h("kbd", {}, "n"),
      " and ",
      h("kbd", {}, "p"),
      " go to the next and the previous event. ",
      twin ? "Both diagrams move together." : "The address names the window.",
    ),
    left_out > 0 &&
      h(
        "p",
        { class: "quiet" },
        `${number(left_out)} further messages of the run are counted above but not drawn here.`,
      ),
  );
}
