// The column at the side of the overview: numbers that are of interest in most builds.

const isBad = status => status === "FAILED" || status === "ERROR";

// badCases returns the failed test cases, newly failing ones first.
function badCases(t) {
  if (!t) return [];
  const rank = { NEWLY_FAILING: 0, FLAKY: 1 };
  const bad = t.name.map((_, i) => i).filter(i => isBad(t.status[i]));
  return bad.sort((a, b) => (rank[t.change[a]] ?? 2) - (rank[t.change[b]] ?? 2) || a - b);
}

const changeWords = {
  NEWLY_FAILING: ["newly failing", "bad"],
  STILL_FAILING: ["still failing", ""],
  FIXED: ["fixed", "good"],
  FLAKY: ["flaky", "warn"],
};

// changeTag is a badge for how a test changed, or nothing.
function changeTag(change) {
  const [text, cls] = changeWords[change] || [];
  return text && span("tag " + cls, text);
}

function testSummary(t, ok) {
  if (!t || !t.name.length) return null;
  const n = status => t.status.filter(s => s === status).length;
  const bad = badCases(t).length,
    passed = n("SUCCEEDED");
  const skipped = t.name.length - bad - passed,
    fixed = t.change.filter(c => c === "FIXED").length;
  const part = (value, cls) => value > 0 && el("span", { class: cls, style: { flex: value } });
  return el(
    "div",
    {},
    heading("Tests", more("#tests", "All " + number(t.name.length))),
    el(
      "div",
      { class: "meter", "aria-hidden": "true" },
      part(bad, "bad"),
      part(passed, ok ? "good" : ""),
      part(skipped, ""),
    ),
    terms("num", [
      bad && ["Failed", number(bad), "bad"],
      ["Passed", number(passed)],
      skipped && ["Skipped", number(skipped)],
      fixed && ["Fixed", number(fixed)],
    ]),
  );
}

// earlierBuilds shows the duration of the last builds as bars. With the index they are links.
function earlierBuilds(build) {
  const all = build.trend.slice(-16),
    ok = b => b.status === "SUCCEEDED";
  if (all.length < 2) return null;
  const top = Math.max(...all.map(b => b.seconds), 0.001),
    index = "../../index.html";
  const bars = all.map(b => {
    const status = b.status.toLowerCase().replace("_", " ");
    const words = `Build ${b.number}: ${status} in ${seconds(b.seconds)}`;
    const props = { class: ok(b) ? "" : "bad", title: words, "aria-label": words };
    if (b.number === build.number) props["aria-current"] = "true";
    const bar = el("i", { style: { height: (100 * b.seconds) / top + "%" } });
    if (build.apart) return el("span", { ...props, role: "img" }, bar);
    return el("a", { ...props, href: index + "#" + b.number }, bar);
  });
  return el(
    "div",
    {},
    heading("Earlier builds", !build.apart && more(index, "All builds")),
    el("div", { class: "spark" }, bars),
    el("p", { class: "fine" }, trendText(build)),
  );
}

function trendText(build) {
  const good = build.trend.filter(b => b.status === "SUCCEEDED" && b.number < build.number);
  if (!good.length) return "No earlier build succeeded.";
  const times = good.map(b => b.seconds).sort((a, b) => a - b);
  const last = build.status === "SUCCEEDED" ? "" : `Last succeeded: build ${good.at(-1).number}. `;
  return `${last}Median of successful builds: ${seconds(times[times.length >> 1])}.`;
}

function reportList(groups) {
  if (!groups.length) return null;
  return el(
    "div",
    {},
    heading("Reports"),
    el(
      "ul",
      { class: "reports" },
      groups.map(g =>
        el(
          "li",
          {},
          verdict(g.status !== "SUCCEEDED", g.status.toLowerCase()),
          " ",
          el("b", {}, g.name),
          " ",
          span("dim", g.text),
        ),
      ),
    ),
  );
}

const isOwn = v => v.origin !== "the service";

function cacheEntry(entry, otherwise) {
  if (!entry) return otherwise;
  const files = entry.files ? count(entry.files, "file") + ", " : "";
  return files + bytes(entry.bytes);
}

function side(build, tests) {
  const ok = build.status === "SUCCEEDED",
    again = ok && build.next[0];
  return [
    testSummary(tests, ok),
    earlierBuilds(build),
    reportList(build.groups),
    again &&
      el(
        "div",
        {},
        heading("Run it again"),
        el("div", { class: "copyline" }, code(again.command), copyButton(again.command)),
      ),
  ];
}
