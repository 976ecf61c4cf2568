// codeLines makes a box of lines that scrolls sideways.
function codeLines(label, rows) {
  return el("div", { class: "lines code", tabindex: 0, role: "group", "aria-label": label }, rows);
}

// excerpt shows the lines of the buildspec around a failure.
function excerpt(f) {
  return codeLines(
    `${f.file}, line ${f.line}`,
    f.excerpt.map((text, i) => {
      const n = f.excerptLine + i,
        chars = [...text];
      if (n !== f.line) return codeLine("", String(n), text || " ");
      const from = f.column - 1,
        to = from + f.width,
        part = (a, b) => chars.slice(a, b).join("");
      return codeLine("hit", String(n), [part(0, from), span("under", part(from, to)), part(to)]);
    }),
  );
}

function codeLine(cls, n, text) {
  return el("div", { class: cls }, span("n", n), el("span", { class: "t" }, text));
}

// lineLink is the number of a line of the log, as a link to it.
function lineLink(i) {
  const label = `Line ${i + 1} of the log`;
  const props = { class: "n", tabindex: -1, href: "#log/L" + (i + 1), "aria-label": label };
  return el("a", props, String(i + 1));
}

// outputLines shows lines of output: pairs of a line of the log and its text. Skipped lines
// are counted.
function outputLines(lines) {
  const rows = [];
  lines.forEach(({ at, text, error }, i) => {
    const skipped = i ? at - lines[i - 1].at - 1 : 0;
    if (skipped > 3) rows.push(codeLine("dim", "", `… ${count(skipped, "line")}`));
    const number = at >= 0 ? lineLink(at) : span("n");
    rows.push(
      el("div", { class: error && "hit" }, number, el("span", { class: "t" }, colored(text))),
    );
  });
  return codeLines("Output", rows);
}
