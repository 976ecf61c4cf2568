const parts = ["summary", "tests", "coverage", "log", "artifacts", "environment", "trend"].filter($);
const made = new Map();

// make creates a part when it is first viewed.
const make = {
  async tests() { return new Tests(await data("tests")); },
  async coverage() { return new Coverage(await data("coverage"), await data("source")); },
  async log() { return new Log(await data("log")); },
  async artifacts() { artifactTable((await data("build")).artifacts); },
  async environment() { environment(await data("build")); },
  async trend() { trend((await data("build")).trend); },
};

// failed lists the failed commands and tests in the summary, with links.
async function failed() {
  const box = $("failed"), t = $("tests") && await data("tests");
  const bad = [];
  for (let i = 0; t && i < t.name.length; i++) if (t.status[i] === "FAILED" || t.status[i] === "ERROR") bad.push(i);
  if (bad.length) {
    const rank = { NEWLY_FAILING: 0, FLAKY: 1 };
    bad.sort((a, b) => (rank[t.change[a]] ?? 2) - (rank[t.change[b]] ?? 2) || a - b);
    box.append(el("h3", {}, "Failed tests"), el("ul", { class: "groups" }, ...bad.slice(0, 20).map(i => el("li", {},
      el("a", { href: "#tests/" + i }, visible(t.name[i]).slice(0, 200)), " " + (t.change[i] ? changes[t.change[i]] : "")))));
    if (bad.length > 20) box.append(el("p", {}, el("a", { href: "#tests" }, "and " + (bad.length - 20) + " more")));
  }
  const log = $("log") && await data("log");
  for (const f of log ? log.folds.filter(f => f.bad) : []) {
    box.prepend(el("p", {}, "A command failed: ", el("a", { href: "#log/L" + (f.line + 1) }, "line " + (f.line + 1) + " of the log"), f.phase ? ", in " + f.phase : ""));
  }
}

function artifactTable(all) {
  $("artifact-table").append(stack(["File", "Size", "Mode", "SHA-256"], all.map(a => el("tr", {},
    el("td", {}, a.link || !a.local ? visible(a.path + (a.link ? " → " + a.link : "")) : el("a", { href: a.local.split("/").map(encodeURIComponent).join("/") }, visible((a.set ? a.set + ": " : "") + a.path))),
    el("td", { class: "figure" }, size(a.size)), el("td", {}, a.mode), el("td", { class: "soft", title: a.hash }, a.hash.slice(0, 12))))));
}

// stack returns a table whose cells are below each other on a narrow screen.
function stack(heads, rows) {
  const t = table(heads, rows);
  t.className = "stack";
  return t;
}

function environment(b) {
  const box = $("environment-table");
  box.append(stack(["Fact", "Value"], b.facts.map(f => el("tr", {}, el("th", { scope: "row" }, f[0]), el("td", {}, visible(f[1]))))));
  if (!b.environment.length) return;
  box.append(el("h3", {}, "Variables"), stack(["Name", "Value", "From"], b.environment.map(v => el("tr", {},
    el("th", { scope: "row" }, visible(v[0])), el("td", {}, visible(v[1])), el("td", { class: "soft" }, visible(v[2]))))));
}

// svg creates an element of a plot.
function svg(name, props, ...children) {
  const e = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(props)) e.setAttribute(key, value);
  e.append(...children);
  return e;
}

// plot draws one value of all builds as bars. The table below the plots has the numbers.
function plot(title, points, bars, most, text) {
  const step = Math.max(18, Math.min(60, 800 / points.length)), wide = step * points.length + 60, high = 120;
  const g = svg("svg", { width: wide, height: high + 24, viewBox: `0 0 ${wide} ${high + 24}`, role: "img", "aria-label": title });
  g.append(svg("line", { class: "axis", x1: 50, y1: high, x2: wide, y2: high }), svg("text", { x: 0, y: 12 }, text(most)), svg("text", { x: 0, y: high }, "0"));
  points.forEach((p, i) => {
    let top = high;
    for (const [value, colour] of bars(p)) {
      if (value === undefined || value === null) continue;
      const h = most ? value / most * (high - 10) : 0;
      top -= h;
      g.append(svg("rect", { x: 54 + i * step, y: top, width: step - 6, height: Math.max(h, value > 0 ? 1 : 0), fill: `var(--${colour})` },
        svg("title", {}, "build " + p.number + ", " + p.status + ": " + text(value))));
    }
    if (points.length <= 20 || i % 5 === 0) g.append(svg("text", { x: 54 + i * step, y: high + 16 }, "#" + p.number));
  });
  return el("figure", { tabindex: "0" }, el("figcaption", {}, title), g);
}

function trend(points) {
  const box = $("trend-plots"), max = f => Math.max(...points.map(f), 0);
  box.append(plot("Duration", points, p => [[p.seconds, p.status === "SUCCEEDED" ? "good" : "bad"]], max(p => p.seconds), seconds));
  if (points.some(p => p.passed + p.bad)) box.append(plot("Tests (failed at the bottom)", points, p => [[p.bad, "bad"], [p.skipped, "warn"], [p.passed, "good"]], max(p => p.bad + p.skipped + p.passed), String));
  if (points.some(p => p.lines !== undefined)) box.append(plot("Covered lines (%)", points, p => [[p.lines, "link"]], 100, v => v.toFixed(1)));
  box.append(table(["Build", "Status", "Took", "Passed", "Failed", "Skipped", "Lines"], points.map(p => el("tr", {},
    el("th", { scope: "row" }, "#" + p.number), el("td", {}, el("span", { class: "status " + p.status }, p.status)), el("td", {}, seconds(p.seconds)),
    el("td", {}, String(p.passed)), el("td", {}, String(p.bad)), el("td", {}, String(p.skipped)), el("td", {}, p.lines === undefined ? "–" : p.lines.toFixed(1) + "%")))));
}

let shown = "";

// show shows the part that the fragment of the address names, and the line, test or file in
// it. Links to a page therefore work, and so does the back button.
async function show(e) {
  let text = location.hash.slice(1);
  try { text = decodeURIComponent(text); } catch { /* shown as it is */ }
  const [, name, rest] = /^([a-z]*)(?:\/([^]*))?$/.exec(text) || [null, "", ""];
  const part = parts.includes(name) ? name : first();
  for (const p of parts) $(p).hidden = p !== part;
  for (const a of document.querySelectorAll("nav a")) {
    if (a.hash === "#" + part) a.setAttribute("aria-current", "page"); else a.removeAttribute("aria-current");
  }
  if (make[part] && !made.has(part)) made.set(part, make[part]());
  if (e && part !== shown) $(part).focus({ preventScroll: true });
  shown = part;
  const it = await made.get(part);
  if (part === "log" && /^L\d+$/.test(rest || "")) it.setTarget(Number(rest.slice(1)) - 1);
  else if (part === "log") it.begin();
  if (part === "tests") it.choose(rest ? Number(rest) : it.chosen >= 0 ? it.chosen : it.rows[0]);
  if (part === "coverage" && rest) it.choose(rest);
  document.documentElement.dataset.ready = part;
}

function first() { return parts[0]; }

// pad keeps targets of links below the header, whose height depends on its text.
function pad() {
  const head = document.querySelector("header");
  document.documentElement.style.scrollPaddingTop = (getComputedStyle(head).position === "sticky" ? head.offsetHeight + 8 : 8) + "px";
}

addEventListener("resize", pad);
addEventListener("hashchange", show);
addEventListener("keydown", e => {
  if (e.key !== "/" || /^(INPUT|SELECT|TEXTAREA)$/.test(e.target.tagName) || e.ctrlKey || e.metaKey || e.altKey) return;
  const box = { tests: "test-filter", log: "log-search" }[parts.find(p => !$(p).hidden)];
  if (box) { e.preventDefault(); $(box).focus(); }
});
pad();
show();
failed();
