// Tests lists the test cases by suite, beside the details of one.

const caseRanks = { FAILED: 0, ERROR: 0, UNKNOWN: 1, SUCCEEDED: 2, SKIPPED: 3 };
const caseSigns = ["✗", "?", "✓", "–"];
const caseWords = { SUCCEEDED: "Passed", FAILED: "Failed", ERROR: "Error", SKIPPED: "Skipped" };
const outcomes = {
  P: "passed",
  F: "failed",
  E: "error",
  S: "skipped",
  U: "unknown",
  "-": "not run",
};
const caseStep = 300; // test cases that are shown at once

class Tests {
  constructor(table) {
    this.t = table;
    this.bad = badCases(table);
    this.show = "all";
    this.query = "";
    this.chosen = -1;
    this.list = el("div");
    this.detail = el("div", {
      class: "detail",
      tabindex: -1,
      role: "region",
      "aria-label": "Test case",
    });
    this.status = el("p", { class: "dim num", role: "status", id: "test-count" });
    const field = searchField("test-filter", "Filter tests", text => {
      this.query = text.trim().toLowerCase();
      this.filter();
    });
    const kinds = { all: "All", bad: "Failed", changed: "Changed", slow: "Slowest" };
    const buttons = choice(kinds, "all", kind => {
      this.show = kind;
      this.filter();
    });
    $("view-tests").append(
      el(
        "div",
        { class: "split" },
        el("div", {}, el("div", { class: "bar-tools" }, field, buttons), this.status, this.list),
        this.detail,
      ),
    );
    this.filter();
  }
  rank(i) {
    return caseRanks[this.t.status[i]] ?? 1;
  }
  // texts returns what the filter searches, in lower case. It is made when it is needed.
  texts() {
    const t = this.t;
    return (this.low ??= t.name.map((name, i) =>
      [t.suite[i], t.prefix[i], name, t.message[i]].join("\n").toLowerCase(),
    ));
  }
  filter() {
    const t = this.t,
      low = this.query && this.texts();
    this.rows = t.name
      .map((_, i) => i)
      .filter(
        i =>
          (!low || low[i].includes(this.query)) &&
          (this.show !== "bad" || !this.rank(i)) &&
          (this.show !== "changed" || t.change[i]),
      );
    if (this.show === "slow") this.rows.sort((a, b) => t.seconds[b] - t.seconds[a]);
    else this.sortBySuite();
    const all = count(t.name.length, "test case");
    this.status.textContent =
      this.rows.length === t.name.length ? all : `${number(this.rows.length)} of ${all}`;
    this.limit = caseStep;
    this.draw();
  }
  // sortBySuite puts suites with failures first, and in them the failures.
  sortBySuite() {
    const best = new Map(),
      t = this.t;
    for (const i of this.rows)
      best.set(t.suite[i], Math.min(best.get(t.suite[i]) ?? 9, this.rank(i)));
    const order = new Map([...best].sort((a, b) => a[1] - b[1]).map(([suite], n) => [suite, n]));
    this.rows.sort(
      (a, b) =>
        order.get(t.suite[a]) - order.get(t.suite[b]) || this.rank(a) - this.rank(b) || a - b,
    );
  }
  draw() {
    const shown = this.rows.slice(0, this.limit),
      more = this.rows.length - shown.length;
    const groups =
      this.show === "slow"
        ? [
            el(
              "div",
              { class: "group" },
              shown.map(i => this.line(i)),
            ),
          ]
        : this.groups(shown);
    if (more > 0) {
      const text = `Show ${Math.min(more, caseStep)} of ${count(more, "more test")}`;
      const button = el("button", { type: "button", class: "button" }, text);
      button.onclick = () => {
        this.limit += caseStep;
        this.draw();
      };
      groups.push(button);
    }
    if (!shown.length) groups.push(el("p", { class: "empty" }, "No test matches."));
    this.list.replaceChildren(...groups);
  }
  groups(rows) {
    const t = this.t,
      groups = [];
    for (const i of rows) {
      let group = groups.at(-1);
      if (group?.suite !== t.suite[i]) groups.push((group = { suite: t.suite[i], rows: [] }));
      group.rows.push(i);
    }
    return groups.map(({ suite, rows }) => {
      const bad = rows.filter(i => !this.rank(i)).length;
      const numbers = span(
        "dim num plain",
        bad > 0 && [span("bad", bad + " failed"), " of "],
        rows.length,
      );
      const title = el("h3", {}, span("clip", suite || "Tests"), numbers);
      return el(
        "div",
        { class: "group" },
        title,
        rows.map(i => this.line(i)),
      );
    });
  }
  line(i) {
    const t = this.t,
      rank = this.rank(i),
      sign = rank ? "dim" : "bad";
    const props = {
      class: "case",
      href: "#tests/" + i,
      "aria-current": i === this.chosen && "true",
    };
    return el(
      "a",
      props,
      el(
        "span",
        { class: sign, role: "img", "aria-label": t.status[i].toLowerCase() },
        caseSigns[rank],
      ),
      span("", t.name[i]),
      changeTag(t.change[i]) || span(),
      span("num right dim", rank === 3 ? "skipped" : seconds(t.seconds[i])),
      !rank && span("msg clip", firstLine(plain(t.message[i])).slice(0, 300)),
    );
  }
  choose(i) {
    if (!(i in this.t.name)) return say("There are " + count(this.t.name.length, "test case"));
    this.chosen = i;
    for (const a of this.list.querySelectorAll(".case")) {
      if (a.hash === "#tests/" + i) a.setAttribute("aria-current", "true");
      else a.removeAttribute("aria-current");
    }
    this.detail.replaceChildren(...this.facts(i));
  }
  facts(i) {
    const t = this.t,
      place = t.place[i],
      covered = t.covered.includes(place.replace(/:\d+$/, ""));
    const shown = covered ? link("#coverage/" + encodeURIComponent(place), place) : place;
    const message = el("pre", { tabindex: 0, class: "mono" }, colored(t.message[i].slice(0, 1e5)));
    const suite = [t.suite[i], t.prefix[i]]
      .filter((x, n, all) => x && all.indexOf(x) === n)
      .join(" › ");
    return [
      el("h3", {}, t.name[i]),
      el(
        "p",
        { class: "dim" },
        span(this.rank(i) ? "" : "bad", caseWords[t.status[i]] || "Unknown"),
        " in ",
        seconds(t.seconds[i]),
        " ",
        changeTag(t.change[i]),
      ),
      t.message[i] ? message : el("p", { class: "empty" }, "No message."),
      terms("left", [
        ["Source", place && span("mono", shown, copyButton(place)), ""],
        ["Suite", suite],
        ["Report", t.groups[t.group[i]]],
        ["File", t.raw[i]],
        ["Earlier builds", this.history(i)],
      ]),
    ];
  }
  history(i) {
    const letters = [...this.t.history[i]],
      bad = letters.filter(c => c === "F" || c === "E").length;
    if (!letters.some(c => c !== "-")) return null;
    const bars = letters.map((c, n) => {
      const cls = { F: "F", E: "F", "-": "none", S: "none" }[c];
      return el("i", { class: cls, title: `build ${this.t.builds[n]}: ${outcomes[c]}` });
    });
    return [
      el("span", { class: "past", "aria-hidden": "true" }, bars),
      ` failed in ${bad} of ${count(letters.length, "build")}`,
    ];
  }
  begin() {
    if (this.chosen < 0 && this.t.name.length) this.choose(this.bad[0] ?? this.rows[0]);
  }
  step(by) {
    const n = this.bad.length,
      at = this.bad.indexOf(this.chosen);
    if (!n) return say("No failed tests");
    location.hash = "tests/" + this.bad[(Math.max(at, by < 0 ? 0 : -1) + by + n) % n];
  }
}
