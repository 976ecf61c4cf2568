// index.html: the builds of a directory, the newest first.

const isOk = b => b.status === "SUCCEEDED";
const statusWords = b => b.status.toLowerCase().replace("_", " ");
const pageOf = b => "builds/" + encodeURIComponent(b.name) + "/report.html";

function resultOf(b) {
  if (isOk(b)) return "succeeded";
  return statusWords(b) + (b.failedIn ? " in " + b.failedIn : "");
}

// durations draws a bar for each build, the latest at the right.
function durations(all) {
  const shown = all.slice(-40),
    longest = Math.max(...shown.map(b => b.seconds), 0.001);
  const unit = axisUnit(longest),
    top = Math.ceil(longest / unit) * unit,
    marks = [];
  for (let s = 0; s <= top + unit / 2; s += unit) marks.push(s);
  const at = s => ({ style: { bottom: (100 * s) / top + "%" } });
  const bars = shown.map(b => {
    const title = `Build ${b.number}: ${resultOf(b)}, ${seconds(b.seconds)}`;
    const bar = el("i", { style: { height: (100 * b.seconds) / top + "%" } });
    return el("a", { href: pageOf(b), class: isOk(b) ? "" : "bad", title, tabindex: -1 }, bar);
  });
  const hidden = { "aria-hidden": "true" },
    every = Math.ceil(shown.length / 20);
  return el(
    "div",
    { class: "trend", ...hidden },
    el(
      "div",
      { class: "yaxis num" },
      marks.map(s => el("span", at(s), axisLabel(s))),
    ),
    el(
      "div",
      { class: "plot" },
      marks.slice(1).map(s => el("span", { class: "rule", ...at(s) })),
      bars,
    ),
    el("span"),
    el(
      "div",
      { class: "ticks" },
      shown.map((b, i) => span("", i % every ? "" : String(b.number))),
    ),
  );
}

function axisLabel(s) {
  if (s < 1) return s ? Math.round(s * 1000) + " ms" : "0";
  return s < 60 ? s + " s" : Math.round(s / 6) / 10 + " min";
}

// axisUnit returns a round distance of at most four marks.
function axisUnit(longest) {
  const units = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600];
  return units.find(u => longest / u <= 4) || 3600 * Math.ceil(longest / 14400);
}

function buildRow(b, longest, project) {
  const width = (100 * b.seconds) / longest + "%",
    background = isOk(b) ? "" : "var(--bad-fill)";
  const subject = b.subject || "" || "No commit";
  const version = [b.commit && span("mono", b.commit.slice(0, 7)), b.branch && ` on ${b.branch}`];
  return el(
    "li",
    { id: String(b.number) },
    el(
      "a",
      { href: pageOf(b) },
      verdict(!isOk(b), statusWords(b)),
      span("num wide", String(b.number)),
      span(
        "what",
        span("clip block", project && span("dim", b.project + " "), subject),
        span("sub clip block", version),
      ),
      span("wide", result(b)),
      span(
        "wide sub",
        el("time", { datetime: b.start, title: b.start }, ago(b.start)),
        span("clip block", b.where),
      ),
      el("span", { class: "wide share full" }, el("i", { style: { width, background } })),
      span("num right took", seconds(b.seconds)),
    ),
  );
}

function result(b) {
  if (isOk(b)) return span("dim", b.passed > 0 && count(b.passed, "test") + " passed");
  const newly = b.newlyFailing ? `, ${number(b.newlyFailing)} newly` : "";
  return [
    span("clip block", statusWords(b), b.failedIn && [" in ", code(b.failedIn)]),
    span("sub", b.bad > 0 && count(b.bad, "test") + " failed" + newly),
  ];
}

class BuildList {
  constructor(builds) {
    this.builds = [...builds].reverse();
    this.longest = Math.max(...builds.map(b => b.seconds), 0.001);
    this.several = new Set(builds.map(b => b.project)).size > 1;
    this.kind = "all";
    this.list = el("ul", { class: "builds" });
    this.status = el("span", { class: "dim num", role: "status" });
    this.field = searchField("filter", "Filter by commit, branch or command", () => this.draw());
    const branches = [...new Set(this.builds.map(b => b.branch).filter(Boolean))];
    const option = branch => el("option", { value: branch }, branch);
    this.branch = el(
      "select",
      { class: "field", "aria-label": "Branch" },
      el("option", { value: "" }, "All branches"),
      branches.map(option),
    );
    this.branch.onchange = () => this.draw();
    this.draw();
  }
  tools() {
    const buttons = choice({ all: "All", good: "Succeeded", bad: "Failed" }, "all", kind => {
      this.kind = kind;
      this.draw();
    });
    return el("div", { class: "bar-tools" }, this.field, this.branch, buttons, this.status);
  }
  matches(b) {
    const text = [b.number, b.commit, b.subject, b.branch, b.failedIn, b.project]
      .join(" ")
      .toLowerCase();
    return (
      (!this.branch.value || b.branch === this.branch.value) &&
      (this.kind === "all" || isOk(b) === (this.kind === "good")) &&
      text.includes(this.field.value.trim().toLowerCase())
    );
  }
  draw() {
    const rows = this.builds.filter(b => this.matches(b)),
      all = this.builds.length;
    this.status.textContent = rows.length === all ? "" : `${rows.length} of ${all}`;
    this.list.replaceChildren(...rows.map(b => buildRow(b, this.longest, this.several)));
    if (!rows.length) this.list.append(el("li", { class: "empty" }, "No build matches."));
  }
  step(by) {
    const links = [...this.list.querySelectorAll("a")],
      at = links.indexOf(document.activeElement);
    links[Math.max(0, Math.min(links.length - 1, at + by))]?.focus();
  }
}

function summary(builds) {
  const newest = [...builds].reverse(),
    good = builds.filter(isOk);
  const times = good.map(b => b.seconds).sort((a, b) => a - b);
  const streak = newest.findIndex(b => isOk(b) !== isOk(newest[0]));
  return el(
    "div",
    {},
    heading("Summary"),
    terms("num", [
      ["Succeeded", `${good.length} of ${builds.length}`],
      [
        "In a row",
        `${streak < 0 ? builds.length : streak} ${isOk(newest[0]) ? "succeeded" : "failed"}`,
      ],
      ["Median of successful builds", times.length > 0 && seconds(times[times.length >> 1])],
      ["Longest", seconds(Math.max(...builds.map(b => b.seconds)))],
    ]),
  );
}

const watchWords = { FLAKY: ["flaky", "warn"], FIXED: ["fixed", "good"] };

function watchList(tests) {
  if (!tests.length) return null;
  return el(
    "div",
    {},
    heading("Tests to watch"),
    el(
      "ul",
      { class: "watch" },
      tests.map(t => {
        const letters = [...t.history],
          bad = letters.filter(c => c === "F" || c === "E").length;
        const [word, cls] =
          watchWords[t.change] || (/[FE]$/.test(t.history) ? ["failing", "bad"] : ["unstable", ""]);
        const bars = letters.map(c =>
          el("i", { class: { F: "F", E: "F", "-": "none", S: "none" }[c] }),
        );
        const label = `failed in ${bad} of ${count(letters.length, "build")}`;
        return el(
          "li",
          {},
          el("p", {}, t.name, " ", span("tag " + cls, word)),
          el("p", { class: "dim mono" }, t.suite),
          el("span", { class: "past", role: "img", "aria-label": label }, bars),
        );
      }),
    ),
  );
}

async function start() {
  const { builds, watch } = await data("builds");
  startTheme();
  const list = new BuildList(builds);
  startHelp([
    ["j k", "Next or previous build"],
    ["Enter", "Open the build"],
    ["/", "Filter"],
    ["t", "Color scheme"],
    ["?", "This list"],
  ]);
  onKeys({
    j: () => list.step(1),
    k: () => list.step(-1),
    "/": () => list.field.focus(),
    t: nextTheme,
    "?": () => $("keys").showModal(),
  });
  if (builds.length) {
    const heads = ["", "Build", "Commit", "Result", "Started", "Duration", ""].map(t =>
      span("", t),
    );
    const head = el(
      "div",
      { class: "builds" },
      el("div", { class: "builds-head", "aria-hidden": "true" }, heads),
    );
    $("list").append(
      el(
        "div",
        {},
        heading("Duration", span("dim more", "each bar is a build, the latest at the right")),
        durations(builds),
      ),
      el("div", {}, el("h2", { class: "sr" }, "Builds"), list.tools(), head, list.list),
    );
    $("side").append(...[summary(builds), watchList(watch)].filter(Boolean));
    document.getElementById(location.hash.slice(1))?.scrollIntoView({ block: "center" });
  }
  document.documentElement.dataset.ready = "builds";
}

start();
