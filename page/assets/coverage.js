// Coverage is a tree of directories and files, and the source of one.
class Coverage {
  constructor(files, source) {
    this.files = files; this.source = source;
    this.root = { name: "All files", dirs: new Map(), files: [], lines: [0, 0], branches: [0, 0], open: true };
    // With several reports, files are below their groups, because two may cover one file.
    this.several = new Set(files.map(f => f.group)).size > 1;
    files.forEach((f, i) => this.put(f, i));
    this.squeeze(this.root);
    this.open(this.root, 30);
    this.draw();
  }
  put(f, i) {
    const parts = this.address(f).split("/");
    let dir = this.root;
    const add = d => { for (const k of ["lines", "branches"]) { d[k][0] += f[k][0]; d[k][1] += f[k][1]; } };
    add(dir);
    for (const part of parts.slice(0, -1)) {
      if (!dir.dirs.has(part)) dir.dirs.set(part, { name: part || "/", dirs: new Map(), files: [], lines: [0, 0], branches: [0, 0], open: false });
      dir = dir.dirs.get(part);
      add(dir);
    }
    dir.files.push({ name: parts[parts.length - 1] || f.path || "(no name)", lines: f.lines, branches: f.branches, index: i });
  }
  address(f) { return this.several ? f.group + "/" + f.path : f.path; }
  // squeeze merges directories that contain only one other directory into one row.
  squeeze(dir) {
    for (const [key, d] of [...dir.dirs]) {
      this.squeeze(d);
      if (d.dirs.size === 1 && !d.files.length) {
        const only = [...d.dirs.values()][0];
        only.name = (d.name === "/" ? "" : d.name) + "/" + only.name;
        dir.dirs.set(key, only);
      }
    }
  }
  // open opens directories while there is room for their rows.
  open(dir, room) {
    dir.open = true;
    if (dir.dirs.size + dir.files.length > room) return;
    for (const d of dir.dirs.values()) this.open(d, room / (dir.dirs.size + 1));
  }
  draw() {
    const rows = [];
    const walk = (dir, depth) => {
      rows.push(this.row(dir, depth, dir));
      if (!dir.open) return;
      for (const d of [...dir.dirs.values()].sort((a, b) => a.name < b.name ? -1 : 1)) walk(d, depth + 1);
      for (const f of dir.files) rows.push(this.row(f, depth + 1, null));
    };
    walk(this.root, 0);
    const t = table(["File", "Lines", "Branches"], rows);
    t.className = "tree";
    $("coverage-tree").replaceChildren(t);
  }
  row(x, depth, dir) {
    const percent = n => n[1] ? (100 * n[0] / n[1]).toFixed(1) + "%" : "–";
    const name = dir
      ? el("button", { type: "button", "aria-expanded": String(dir.open), onclick: e => this.toggle(dir, e) }, (dir.open ? "▾ " : "▸ ") + visible(x.name))
      : el("a", { href: "#coverage/" + encodeURIComponent(this.address(this.files[x.index])) }, visible(x.name));
    const first = el("td", {}, name);
    first.style.paddingLeft = depth * 1.2 + "em";
    const bar = el("span", { class: "cover", "aria-hidden": "true" }, el("span"));
    bar.firstChild.style.width = (x.lines[1] ? 100 * x.lines[0] / x.lines[1] : 0) + "%";
    return el("tr", {}, first, el("td", { class: "figure" }, bar, " " + percent(x.lines) + " (" + x.lines[0] + "/" + x.lines[1] + ")"),
      el("td", { class: "figure" }, x.branches[1] ? percent(x.branches) + " (" + x.branches[0] + "/" + x.branches[1] + ")" : "–"));
  }
  toggle(dir) {
    dir.open = !dir.open;
    const at = [...$("coverage-tree").querySelectorAll("button")].findIndex(b => b === document.activeElement);
    this.draw();
    const again = $("coverage-tree").querySelectorAll("button")[at];
    if (again) again.focus();
  }
  // choose shows a file, and a line of it. The text is PATH[:LINE]; the path is that of the
  // report or of the source, because links from tests have the latter.
  choose(text) {
    const [, path, line] = /^(.*?)(?::(\d+))?$/.exec(text);
    const f = this.files.find(f => this.address(f) === path) || this.files.find(f => f.path === path) || this.files.find(f => f.source === path);
    const box = $("coverage-source");
    if (!f) { box.replaceChildren(el("p", {}, "No report covers " + visible(path) + ".")); return; }
    box.replaceChildren(el("h3", { tabindex: "-1" }, visible(this.address(f))), this.code(f, Number(line)));
    const target = box.querySelector("tr.target");
    if (target) target.scrollIntoView({ block: "center" }); else box.scrollIntoView();
  }
  code(f, target) {
    const lines = new Map();
    for (let i = 0; f.detail && i < f.detail.length; i += 4) lines.set(f.detail[i], f.detail.slice(i + 1, i + 4));
    const text = this.source[f.source];
    if (!lines.size) return el("p", {}, "The report has only totals for this file.");
    const all = text !== undefined ? text.replace(/\n$/, "").split("\n") : null;
    const rows = [];
    const numbers = all ? all.map((_, i) => i + 1) : [...lines.keys()].sort((a, b) => a - b).slice(0, 20000);
    for (const n of numbers) rows.push(this.line(n, lines.get(n), all ? all[n - 1] : "", n === target));
    const box = el("div", { class: "code", tabindex: "0", role: "region", "aria-label": "Lines of " + visible(f.path) },
      table(["Line", "Ran", "Source"], rows));
    return all ? box : el("div", {}, el("p", { class: "soft" }, "The source of this file is not available, or has changed since; these are the lines that the report counts."), box);
  }
  line(n, l, text, target) {
    let kind = "", sign = " ", words = "";
    if (l) {
      const [ran, covered, all] = l;
      kind = ran === 0 ? "miss" : all > covered ? "part" : "hit";
      sign = { miss: "−", part: "±", hit: "+" }[kind];
      words = (ran < 0 ? "" : ran + "×") + (all ? " " + covered + "/" + all + " branches" : "");
    }
    return el("tr", { class: kind + (target ? " target" : "") }, el("th", { scope: "row" }, String(n)),
      el("td", { class: "figure", "aria-label": { miss: "missed", part: "partly covered", hit: "covered" }[kind] }, sign + " " + words), el("td", {}, visible(text)));
  }
}
