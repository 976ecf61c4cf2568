// The part "What went wrong": the first failure in full, the others closed.

// failedLines returns the lines that explain a failure, with their places in the log.
function failedLines(failure, index, log) {
  const at = log?.shown[index] || [];
  return (failure.output || []).map((line, i) => ({ ...line, at: at[i] ?? -1 }));
}

function cause(build, log) {
  const f = build.failures[0],
    c = build.commands[f.command];
  const lines = failedLines(f, 0, log),
    section = sectionOf(log, f.command);
  const same = build.commands.filter(other => other.phase === c.phase);
  const what = `${phaseName(build, c.phase)}, command ${same.indexOf(c) + 1} of ${same.length}. `;
  return el(
    "div",
    { class: "cause" },
    el(
      "div",
      { class: "cause-head" },
      el(
        "div",
        {},
        el(
          "p",
          { class: "command" },
          el("span", { class: "bad", "aria-hidden": "true" }, "✗ "),
          c.text,
          " ",
          copyButton(c.text),
        ),
        el("p", { class: "dim" }, what, `Exit status ${c.exit} after ${seconds(c.seconds)}.`),
      ),
      section && el("a", { class: "button", href: "#log/c" + f.command }, "Show in log"),
    ),
    f.line > 0 && placeOfFailure(f),
    lines.length > 0 &&
      el(
        "div",
        {},
        el(
          "div",
          { class: "code-head" },
          el("h3", {}, lines.some(l => l.error) ? "Output from the first error on" : "Last output"),
          section &&
            span("num", `${lines.length} of ${count(section.end - section.output, "line")}`),
        ),
        outputLines(lines),
      ),
    hintOf(build, f),
    nextSteps(build.next),
  );
}

// placeOfFailure shows the lines of the buildspec around a failure.
function placeOfFailure(f) {
  const place = `${f.file}:${f.line}:${f.column}`;
  return el(
    "div",
    {},
    el("div", { class: "code-head" }, el("h3", {}, span("mono", place)), copyButton(place)),
    excerpt(f),
  );
}

// hintOf returns the hint of a failure, and what has changed since a build that succeeded.
function hintOf(build, f) {
  const changed = changesText(build.changes),
    rows = [];
  if (f?.hint) rows.push(el("b", {}, "Hint"), span("", f.hint));
  if (changed) rows.push(el("b", {}, "Changed"), span("", changed));
  return rows.length > 0 && el("p", { class: "hint" }, rows);
}

function changesText(c) {
  if (!c?.count) return "";
  const shown = (c.files || []).slice(0, 5),
    rest = c.count - shown.length;
  const more = rest > 0 ? ` and ${count(rest, "other")}` : "";
  const since = `Build ${c.sinceBuild} succeeded. Since then `;
  return [
    since,
    count(c.count, "file has", "files have"),
    " changed: ",
    shown.map((file, i) => [i ? ", " : "", code(file)]),
    more,
    ".",
  ];
}

function nextSteps(steps) {
  if (!steps.length) return null;
  return el(
    "ul",
    { class: "next", "aria-label": "Next steps" },
    steps.map(s => el("li", {}, code(s.command), span("dim", s.purpose), copyButton(s.command))),
  );
}

// laterFailure is a closed line for a failure after the first one.
function laterFailure(build, log, index) {
  const f = build.failures[index],
    c = build.commands[f.command];
  const result = `${phaseName(build, c.phase)}, exit status ${c.exit}`;
  return el(
    "details",
    { class: "also", "data-failure": "" },
    el(
      "summary",
      {},
      icon("caret"),
      el("span", { class: "bad", "aria-hidden": "true" }, "✗"),
      el("code", { class: "clip" }, firstLine(c.text)),
      span("dim push num", result),
    ),
    el(
      "div",
      { class: "cause-body" },
      f.line > 0 && excerpt(f),
      outputLines(failedLines(f, index, log)),
      f.hint && el("p", {}, el("b", {}, "Hint: "), f.hint),
      sectionOf(log, f.command) && el("p", {}, link("#log/c" + f.command, "Show in log")),
    ),
  );
}

// failedPhase is shown for a build that failed without a failed command.
function failedPhase(build, phase) {
  const f = phase.failure;
  return el(
    "div",
    { class: "cause" },
    el(
      "div",
      { class: "cause-head" },
      el(
        "div",
        {},
        el(
          "p",
          { class: "command" },
          el("span", { class: "bad", "aria-hidden": "true" }, "✗ "),
          phase.name,
        ),
        el("p", { class: "message" }, f?.message || phase.message || phase.status),
        f?.cause && el("p", { class: "dim" }, f.cause),
        f?.service && el("p", { class: "dim" }, "CodeBuild says: ", f.service),
      ),
    ),
    f?.line > 0 && placeOfFailure(f),
    hintOf(build, f),
    nextSteps(build.next),
  );
}

const phaseName = (build, type) => build.phases.find(p => p.type === type)?.name || type;
const sectionOf = (log, command) => log?.sections.find(s => s.command === command);

// whatWentWrong returns the parts about failures of a build that did not succeed.
function whatWentWrong(build, log) {
  const target = { "data-failure": "", tabindex: -1 };
  if (build.failures.length) {
    const later = build.failures.slice(1).map((_, i) => laterFailure(build, log, i + 1));
    return el("div", target, heading("What went wrong"), cause(build, log), later);
  }
  const phase = build.phases.find(p => p.status !== "SUCCEEDED");
  return phase && el("div", target, heading("What went wrong"), failedPhase(build, phase));
}

// failedTests lists some failed tests, with their messages.
function failedTests(table) {
  const bad = badCases(table),
    shown = bad.slice(0, 5);
  if (!bad.length) return null;
  return el(
    "div",
    {},
    heading(count(bad.length, "failed test"), bad.length > shown.length && more("#tests", "All")),
    el(
      "ul",
      { class: "fails" },
      shown.map(i =>
        el(
          "li",
          {},
          verdict(true),
          el("a", { class: "name", href: "#tests/" + i, "data-failure": "" }, table.name[i]),
          changeTag(table.change[i]) || span(),
          el(
            "p",
            { class: "msg" },
            firstLine(plain(table.message[i])).slice(0, 500) || "No message",
          ),
          el(
            "p",
            { class: "place mono" },
            span("", table.place[i] || table.suite[i]),
            span("num", seconds(table.seconds[i])),
          ),
        ),
      ),
    ),
  );
}
