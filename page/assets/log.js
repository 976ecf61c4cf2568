// Log shows the build's log. Its pieces are unpacked when they are viewed or searched. Lines
// are numbered from 0 in the data, and from 1 on the screen; a row is a line that is visible.
class Log {
  constructor(index) {
    this.index = index;
    this.blocks = new Map(); // unpacked pieces: lines, and the style at the beginning of each
    this.folds = index.folds.filter(f => f.lines > 0);
    this.closed = new Set(); // folds, by number
    this.agent = new Set(index.agent);
    this.foldAt = new Map(index.folds.map((f, i) => [f.line, f]));
    this.folds.forEach((f, i) => f.number = i);
    const last = index.blocks[index.blocks.length - 1];
    this.total = last ? last.first + last.lines : 0;
    this.found = []; this.at = -1; this.query = ""; this.target = -1;
    this.list = new List($("log-list"), 18, row => this.row(this.lineOf(row)));
    this.layout();
    this.listen();
  }
  // layout records which lines are hidden: for each closed fold its line, its row, and the
  // number of lines that are hidden up to its end.
  layout() {
    $("log-fold").setAttribute("aria-pressed", String(this.folds.length > 0 && this.closed.size === this.folds.length));
    this.hidden = [];
    let sum = 0;
    for (const f of this.folds) {
      if (!this.closed.has(f.number)) continue;
      sum += f.lines;
      this.hidden.push({ line: f.line, row: f.line - (sum - f.lines), sum });
    }
    this.list.setCount(this.total - sum);
  }
  // last returns the number of hidden lines of the last fold whose key is below a value.
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
  // lines returns the lines of a block, or null while it is being unpacked.
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
      if (this.blocks.size > 40) this.blocks.delete(this.blocks.keys().next().value);
    }
    return b.promise;
  }
  // styles returns the colors at the beginning of each line of a block.
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
        "aria-label": "Output of the command in line " + (line + 1) + ", " + count(fold.lines, "line"),
        onclick: () => this.toggle(fold),
      }, closed ? "▸" : "▾"));
    } else row.append(el("span", { class: "gap" }));
    if (lines) {
      const text = lines[i] || "";
      if (fold) row.classList.add("command"); else if (this.agent.has(line)) row.classList.add("agent");
      if (fold && fold.bad) row.append(el("span", { class: "FAILED" }, "✗ failed "));
      if (fold && this.closed.has(fold.number)) row.append(el("span", { class: "soft" }, "… " + count(fold.lines, "line") + " "));
      row.append(...colored(text, this.styles(n)[i], this.query));
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
  // goTo scrolls to a line, and in a long one to the first match of a search.
  async goTo(line) {
    this.open(line);
    await this.load(this.blockOf(line));
    this.list.goTo(this.rowOf(line));
    const mark = this.list.box.querySelector(".row.found mark");
    if (mark) mark.scrollIntoView({ block: "nearest", inline: "center" }); else this.list.box.scrollLeft = 0;
  }
  setTarget(line) {
    const there = line >= 0 && line < this.total;
    $("log-count").textContent = there ? "" : "the log has " + count(this.total, "line");
    this.target = there ? line : -1;
    if (there) this.goTo(line);
  }
  // begin shows the first command that failed, or the beginning of the log.
  begin() {
    if (this.begun) return this.list.show();
    this.begun = true;
    const bad = this.index.folds.find(f => f.bad);
    if (bad) this.goTo(bad.line); else this.list.show();
  }
  // search finds the lines that contain a text, ignoring case. A new search ends this one.
  async search(query) {
    const mine = this.searching = {};
    this.query = query; this.found = []; this.at = -1;
    const count = $("log-count");
    if (!query) { count.textContent = ""; this.list.show(); return; }
    const low = query.toLowerCase(), from = this.lineOf(Math.floor(this.list.first()));
    for (let n = 0; n < this.index.blocks.length; n++) {
      const kept = this.blocks.has(n);
      await this.load(n);
      if (this.searching !== mine) return;
      this.blocks.get(n).lines.forEach((line, i) => {
        if (line.length >= low.length && plain(line).toLowerCase().includes(low) && i < this.index.blocks[n].lines) this.found.push(this.index.blocks[n].first + i);
      });
      if (!kept) this.blocks.delete(n);
      if (n % 8 === 7) count.textContent = "searching, " + this.found.length + " so far";
    }
    this.at = this.found.findIndex(line => line >= from) - 1;
    this.step(1);
    if (!this.found.length) { count.textContent = "no matches"; this.list.show(); }
  }
  step(by) {
    if (!this.found.length) return;
    this.at = (this.at + by + this.found.length) % this.found.length;
    $("log-count").textContent = (this.at + 1) + " of " + this.found.length + " lines, line " + (this.found[this.at] + 1);
    return this.goTo(this.found[this.at]);
  }
  listen() {
    const input = $("log-search");
    const search = later(() => this.search(input.value), 150);
    const step = by => { search.cancel(); if (this.query === input.value) this.step(by); else this.search(input.value); };
    input.addEventListener("input", search);
    input.addEventListener("keydown", e => { if (e.key === "Enter" && e.shiftKey) { e.preventDefault(); step(-1); } });
    $("log-tools").addEventListener("submit", e => { e.preventDefault(); step(1); });
    $("log-previous").addEventListener("click", () => step(-1));
    $("log-fold").addEventListener("click", e => {
      const fold = e.target.getAttribute("aria-pressed") !== "true";
      this.closed = new Set(fold ? this.folds.map(f => f.number) : []);
      this.layout();
    });
  }
}

const escapes = /\x1b(?:\[[0-?]*[ -\/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])/g;

function plain(line) { return line.includes("\x1b") ? line.replace(escapes, "") : line; }

// A style is the classes of a text, sorted: a1 to a9 for attributes such as bold, c0 to c7
// for the color, b0 to b7 for the background. nextStyle returns the style after an SGR
// sequence; style.go does the same for the beginnings of pieces.
function nextStyle(style, numbers) {
  let on = new Set(style.split(" ").filter(Boolean));
  const set = (kind, value) => { for (const c of on) if (c[0] === kind) on.delete(c); if (value !== "") on.add(kind + value); };
  const n = numbers.split(";").map(Number);
  for (let i = 0; i < n.length; i++) {
    const c = n[i];
    if (c === 0) on = new Set();
    else if (c <= 9) on.add("a" + c);
    else if (c === 22) { on.delete("a1"); on.delete("a2"); }
    else if (c >= 23 && c <= 29) on.delete("a" + (c - 20));
    else if (c >= 30 && c <= 37 || c >= 90 && c <= 97) set("c", c % 10);
    else if (c >= 40 && c <= 47 || c >= 100 && c <= 107) set("b", c % 10);
    else if (c === 39) set("c", "");
    else if (c === 49) set("b", "");
    else if (c === 38 || c === 48) {
      if (n[i + 1] === 5) set(c === 38 ? "c" : "b", n[i + 2] < 16 ? n[i + 2] % 8 : "");
      i += n[i + 1] === 5 ? 2 : n[i + 1] === 2 ? 4 : 0;
    }
  }
  return [...on].sort().join(" ");
}

// maxShown is the number of characters of a line that are shown. A longer line is cut around
// the first match of a search.
const maxShown = 8000;

// colored returns the nodes of a line, in its colors and with the matches of a search.
function colored(line, style, query) {
  const nodes = [];
  const put = text => {
    if (!text) return;
    const parts = marked(visible(text), query);
    if (style) nodes.push(el("span", { class: style }, ...parts)); else nodes.push(...parts);
  };
  if (line.length > maxShown) {
    const at = query ? Math.max(0, line.toLowerCase().indexOf(query.toLowerCase()) - maxShown / 2) : 0;
    if (at) nodes.push(el("span", { class: "soft" }, "… " + at + " characters … "));
    put(plain(line).slice(at, at + maxShown));
    if (line.length > at + maxShown) nodes.push(el("span", { class: "soft" }, " … " + (line.length - at - maxShown) + " more characters"));
    return nodes;
  }
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

// marked returns the nodes of a text with the matches of a search marked.
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
