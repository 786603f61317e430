"use strict";
// Puts the page together: the report that is chosen, the choice among several, the theme.

const runName = (run) => `${run.scenario}, seed ${run.seed}`;

/** What changed from the first report to the second, side by side. */
function changes() {
  const rows = (what, list) =>
    h(
      "div",
      { "data-part": `changed_${what}` },
      table(
        [
          { title: what, class: "text", of: (row) => words(row.name) },
          { title: "before", of: (row) => number(row.before) },
          { title: "after", of: (row) => number(row.after) },
          {
            title: "change",
            of: (row) =>
              row.before == null || row.after == null ? "–" : number(row.after - row.before),
          },
        ],
        list,
      ),
    );
  const [before, after] = reports.map(
    (report) => `${runName(report.run)}, profile ${report.run.profile}`,
  );
  return section(
    "changes",
    "What changed",
    `Before: ${before}. After: ${after}.`,
    difference.words.map((sentence) => h("p", {}, sentence)),
    h(
      "div",
      { class: "two" },
      rows("cause", difference.causes),
      rows("figure", difference.figures),
    ),
  );
}

/** How long before and after the moment of a fork both diagrams show. */
const FORK_SHOWN_US = [20_000, 180_000];

/** Both runs from the moment on from which the second has other knobs. */
function forks() {
  const at = difference.forked_at_us;
  const window = { from: at - FORK_SHOWN_US[0], to: at + FORK_SHOWN_US[1], peers: [] };
  return ["as it was", "with other knobs"].map((how, place) =>
    spaceTime(reports[place], {
      ...window,
      id: `fork_${place}`,
      title: `From ${moment(at, 3)} on: ${how}`,
    }),
  );
}

function overview(shown) {
  const figure = (report, at) => {
    const { value, floor } = report.figures[at] ?? {};
    return value == null ? "–" : `${number(value)} (${number(floor)})`;
  };
  return section(
    "runs",
    "Runs",
    "Each figure with its floor in brackets.",
    table(
      [
        {
          title: "run",
          class: "text",
          of: (report) =>
            h(
              "button",
              {
                type: "button",
                "aria-pressed": String(report === shown),
                onclick: () => choose(report),
              },
              runName(report.run),
            ),
        },
        { title: "messages", of: (report) => number(report.run.messages) },
        { title: "puts", class: "wide", of: (report) => number(report.run.puts) },
        ...reports[0].figures.map((first, at) => ({
          title: first.title,
          of: (report) => figure(report, at),
        })),
      ],
      reports,
    ),
  );
}

const pair = (...sections) => {
  const shown = sections.filter(Boolean);
  return shown.length > 1 ? h("div", { class: "two" }, shown) : shown;
};

let shown = null;

function choose(report) {
  shown = report;
  const run = report.run;
  document.getElementById("name").textContent = runName(run);
  document.title = `${runName(run)}: message budget`;
  document.getElementById("version").textContent =
    `Laconic ${report.laconic_version}, schema ${report.schema}.`;
  const commit = report.figures.find((figure) => figure.name === "messages_per_commit");
  document
    .getElementById("verdict")
    .replaceChildren(
      verdictBadge(run),
      commit?.value == null
        ? ""
        : ` ${number(commit.value)} messages per commit${commit.ratio == null ? "" : `, ${number(commit.ratio)} × the floor`}`,
    );
  document
    .querySelector("main")
    .replaceChildren(
      ...[
        partial(report),
        difference && changes(),
        difference?.forked_at_us != null && forks(),
        reports.length > 1 && overview(report),
        headline(report),
        section(
          "references",
          "From the floor to the textbook",
          "What the same arrivals would have cost, in messages.",
          chart(report, "references"),
          unfold(
            "What each of these assumes",
            h(
              "ul",
              { class: "compact" },
              report.references.map((each) => h("li", {}, `${each.title}: ${each.premise}`)),
            ),
          ),
        ),
        pair(
          books(report),
          report.limits.length > 0 &&
            section(
              "limits",
              "Limits",
              "What the scenario or the profile allows, and what was spent.",
              chart(report, "limits"),
            ),
        ),
        findings(report),
        verification(report),
        timeline(report),
        decisions(report),
        causes(report),
        pair(
          fates(report),
          section("phases", "When they were sent", null, chart(report, "phases")),
        ),
        pair(links(report), tradeOff(report)),
        latency(report),
        linger(report),
        spaceTime(report),
      ]
        .flat(2)
        .filter(Boolean),
    );
  const headings = [...document.querySelectorAll("main section[id]")];
  contents.querySelector("nav").replaceChildren(
    ...headings.map((part) =>
      h(
        "a",
        {
          href: `#${part.id}`,
          onclick: () => {
            contents.open = false;
          },
        },
        part.querySelector("h2").textContent,
      ),
    ),
  );
  showWindowOfAddress();
}

const contents = document.getElementById("contents");
addEventListener("hashchange", () => {
  const report = windowOfAddress()?.report;
  if (report && report !== shown) choose(report);
  showWindowOfAddress();
});
addEventListener("click", (event) => {
  if (!contents.contains(event.target)) contents.open = false;
});
document.getElementById("theme").addEventListener("click", () => {
  const root = document.documentElement;
  const dark = root.dataset.theme
    ? root.dataset.theme === "dark"
    : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
});
choose(windowOfAddress()?.report ?? reports[0]);
