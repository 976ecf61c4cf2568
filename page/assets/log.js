// Log is the build's log. Pieces of it are unpacked when they are seen or searched.
class Log {
  constructor(index) {
    this.index = index;
    this.blocks = new Map(); // unpacked: lines, and the style of each one's beginning
    this.folds = index.folds.filter(f => f.lines > 0);
    this.closed = new Set(); // folds, by number
    this.foldAt = new Map(index.folds.map((f, i) => [f.line, f]));
    this.folds.forEach((f, i) => f.number = i);
    const last = index.blocks[index.blocks.length - 1];
    this.total = last ? last.first + last.lines : 0;
    this.found = []; this.at = -1; this.query = ""; this.target = -1;
    this.list = new List($("log-list"), 18, row => this.row(this.lineOf(row)));
    this.layout();
    this.listen();
  }
  // layout notes which lines are hidden: for each closed fold where it begins, and how
  // many lines are hidden before its end.
  layout() {
    this.hidden = [];
    let sum = 0;
    for (const f of this.folds) {
      if (!this.closed.has(f.number)) continue;
      sum += f.lines;
      this.hidden.push({ line: f.line, row: f.line - (sum - f.lines), sum });
    }
    this.list.setCount(this.total - sum);
  }
  // last is the last of the hidden whose key is below a value.
  last(key, value) {
    let low = 0, high = this.hidden.length;
    while (low < high) {
      const mid = (low + high) >> 1;
      if (this.hidden[mid][key] < value) low = mid + 1; else high = mid;
    }
    return low ? this.hidden[low - 1].sum : 0;
  }
  lineOf(row) { return row + this.last("row", row); }
  rowOf(line) { return line - this.last("line", line); }
  blockOf(line) {
    const b = this.index.blocks;
    let low = 0, high = b.length - 1;
    while (low < high) {
      const mid = (low + high + 1) >> 1;
      if (b[mid].first <= line) low = mid; else high = mid - 1;
    }
    return low;
  }
  // lines of a block, or nothing while it is unpacked.
  lines(n) {
    const known = this.blocks.get(n);
    if (known) return known.lines;
    this.load(n).then(() => this.list.show());
    return null;
  }
  load(n) {
    let b = this.blocks.get(n);
    if (!b) {
      b = { lines: null };
      b.promise = unpack("log-" + n).then(raw => { b.lines = decoder.decode(raw).split("\n"); });
      this.blocks.set(n, b);
    }
    return b.promise;
  }
  // styles are the colours at the beginning of each line of a block.
  styles(n) {
    const b = this.blocks.get(n);
    if (b.styles) return b.styles;
    let style = this.index.blocks[n].style || "";
    b.styles = b.lines.map(line => {
      const before = style;
      if (line.includes("\x1b[")) for (const m of line.matchAll(/\x1b\[([0-9;]*)m/g)) style = nextStyle(style, m[1]);
      return before;
    });
    return b.styles;
  }
  row(line) {
    const n = this.blockOf(line), lines = this.lines(n), i = line - this.index.blocks[n].first;
    const row = el("div", { class: "row" });
    const fold = this.foldAt.get(line);
    const number = el("a", { class: "no", href: "#log/L" + (line + 1), "data-key": "n" + line, tabindex: "-1" }, String(line + 1));
    row.append(number);
    if (fold && fold.lines > 0) {
      const closed = this.closed.has(fold.number);
      row.append(el("button", {
        type: "button", "aria-expanded": String(!closed), "data-key": "f" + line,
        "aria-label": "Output of the command in line " + (line + 1) + ", " + fold.lines + " lines",
        onclick: () => this.toggle(fold),
      }, closed ? "▸" : "▾"));
    } else row.append(el("span", { class: "gap" }));
    if (lines) {
      const text = lines[i] || "";
      if (fold) row.classList.add("command"); else if (text.startsWith("[Container] ")) row.classList.add("agent");
      row.append(...coloured(text, this.styles(n)[i], this.query));
      if (fold && fold.bad) row.append(el("span", { class: "FAILED" }, "  ✗ failed"));
      if (fold && this.closed.has(fold.number)) row.append(el("span", { class: "soft" }, "  … " + fold.lines + " lines"));
    } else row.append("…");
    if (line === this.target) row.classList.add("target");
    if (this.at >= 0 && this.found[this.at] === line) row.classList.add("found");
    return row;
  }
  toggle(fold) {
    if (!this.closed.delete(fold.number)) this.closed.add(fold.number);
    this.layout();
  }
  open(line) {
    for (const f of this.folds) if (line > f.line && line <= f.line + f.lines && this.closed.delete(f.number)) this.layout();
  }
  goTo(line) { this.open(line); this.list.goTo(this.rowOf(line)); }
  setTarget(line) {
    this.target = Math.min(line, this.total - 1);
    this.goTo(this.target);
  }
  // search finds the lines that have a text, in which case does not count.
  async search(query) {
    const mine = this.searching = {};
    this.query = query; this.found = []; this.at = -1;
    const count = $("log-count");
    if (!query) { count.textContent = ""; this.list.show(); return; }
    const low = query.toLowerCase();
    for (let n = 0; n < this.index.blocks.length; n++) {
      const kept = this.blocks.has(n);
      await this.load(n);
      if (this.searching !== mine) return;
      this.blocks.get(n).lines.forEach((line, i) => {
        if (line.length >= low.length && plain(line).toLowerCase().includes(low) && i < this.index.blocks[n].lines) this.found.push(this.index.blocks[n].first + i);
      });
      if (!kept && this.blocks.size > 24) this.blocks.delete(n);
      if (n % 8 === 7) count.textContent = "searching, " + this.found.length + " so far";
    }
    this.step(1);
    if (!this.found.length) { count.textContent = "nothing found"; this.list.show(); }
  }
  step(by) {
    if (!this.found.length) return;
    this.at = (this.at + by + this.found.length) % this.found.length;
    $("log-count").textContent = (this.at + 1) + " of " + this.found.length + " lines, line " + (this.found[this.at] + 1);
    this.goTo(this.found[this.at]);
  }
  listen() {
    const input = $("log-search");
    const search = later(() => this.search(input.value), 150);
    input.addEventListener("input", search);
    $("log-tools").addEventListener("submit", e => { e.preventDefault(); if (this.query === input.value) this.step(1); else this.search(input.value); });
    $("log-previous").addEventListener("click", () => this.step(-1));
    $("log-fold").addEventListener("click", e => {
      const fold = e.target.getAttribute("aria-pressed") !== "true";
      e.target.setAttribute("aria-pressed", String(fold));
      this.closed = new Set(fold ? this.folds.map(f => f.number) : []);
      this.layout();
    });
  }
}

const escapes = /\x1b(?:\[[0-?]*[ -\/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])/g;

function plain(line) { return line.includes("\x1b") ? line.replace(escapes, "") : line; }

function nextStyle(style, numbers) {
  if (numbers === "" || numbers === "0") return "";
  return numbers.startsWith("0;") ? numbers.slice(2) : style ? style + ";" + numbers : numbers;
}

// classes of a style, which is the numbers of SGR sequences.
function classes(style) {
  const on = new Set();
  let colour = "";
  const n = style.split(";").map(Number);
  for (let i = 0; i < n.length; i++) {
    if (n[i] === 0) { on.clear(); colour = ""; }
    else if (n[i] <= 4) on.add("a" + n[i]);
    else if (n[i] === 22) { on.delete("a1"); on.delete("a2"); }
    else if (n[i] === 23) on.delete("a3");
    else if (n[i] === 24) on.delete("a4");
    else if (n[i] >= 30 && n[i] <= 37) colour = "c" + (n[i] - 30);
    else if (n[i] >= 90 && n[i] <= 97) colour = "c" + (n[i] - 90);
    else if (n[i] === 39) colour = "";
    else if (n[i] === 38 || n[i] === 48) {
      if (n[i] === 38 && n[i + 1] === 5 && n[i + 2] < 16) colour = "c" + (n[i + 2] % 8);
      i += n[i + 1] === 5 ? 2 : n[i + 1] === 2 ? 4 : 0;
    }
  }
  return [...on, colour].filter(Boolean).join(" ");
}

// coloured returns the nodes of a line.
function coloured(line, style, query) {
  const nodes = [];
  const put = text => {
    if (!text) return;
    const parts = marked(visible(text), query);
    const names = style && classes(style);
    if (names) nodes.push(el("span", { class: names }, ...parts)); else nodes.push(...parts);
  };
  if (!line.includes("\x1b")) { put(line); return nodes; }
  let from = 0;
  for (const m of line.matchAll(escapes)) {
    put(line.slice(from, m.index));
    from = m.index + m[0].length;
    const sgr = /^\x1b\[([0-9;]*)m$/.exec(m[0]);
    if (sgr) style = nextStyle(style, sgr[1]);
  }
  put(line.slice(from));
  return nodes;
}

// marked marks what was searched for.
function marked(text, query) {
  if (!query) return [text];
  const low = text.toLowerCase(), q = query.toLowerCase(), nodes = [];
  let from = 0;
  for (let i = low.indexOf(q); i >= 0; i = low.indexOf(q, from)) {
    nodes.push(text.slice(from, i), el("mark", {}, text.slice(i, i + q.length)));
    from = i + q.length;
  }
  nodes.push(text.slice(from));
  return nodes;
}
