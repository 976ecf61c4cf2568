// Tree shows files in their directories, with sums of their values. Directories that contain
// only one other directory share a row with it.
class Tree {
  // o has: rows ({path, …}), heads, values (of a row, to add up), cells (of values), name.
  constructor(o) {
    this.o = o;
    this.root = { dirs: new Map(), files: [] };
    for (const row of o.rows) this.put(row);
    this.total(this.root);
    this.unfold(this.root, 60);
    this.body = el("tbody");
    const heads = o.heads.map((h, i) =>
      h ? el("th", { scope: "col", class: i > 0 && "num" }, h) : el("td"),
    );
    const table = el("table", { class: "tree" }, el("thead", {}, el("tr", {}, heads)), this.body);
    this.box = el("div", { class: "scrollx" }, table);
    this.draw();
  }
  put(row) {
    const parts = row.path.split("/");
    let dir = this.root;
    for (const name of parts.slice(0, -1)) {
      if (!dir.dirs.has(name)) dir.dirs.set(name, { name, dirs: new Map(), files: [] });
      dir = dir.dirs.get(name);
    }
    dir.files.push({ name: parts.at(-1) || row.path, row, values: this.o.values(row) });
  }
  total(dir) {
    const parts = [...dir.dirs.values()]
      .map(d => this.total(d))
      .concat(dir.files.map(f => f.values));
    return (dir.values = parts.reduce((a, b) => a.map((x, i) => x + b[i])));
  }
  // unfold opens directories while there is room for their rows.
  unfold(dir, room) {
    const n = dir.dirs.size + dir.files.length;
    dir.open = n <= room || dir === this.root;
    if (dir.open) for (const d of dir.dirs.values()) this.unfold(d, room / n);
  }
  draw() {
    const rows = [],
      bySize = (a, b) => b.values[0] - a.values[0];
    const walk = (dir, depth) => {
      for (const d of [...dir.dirs.values()].sort(bySize)) {
        let last = d,
          name = d.name;
        while (last.dirs.size === 1 && !last.files.length) {
          last = [...last.dirs.values()][0];
          name += "/" + last.name;
        }
        rows.push(this.dirRow(last, name, depth));
        if (last.open) walk(last, depth + 1);
      }
      for (const f of [...dir.files].sort(bySize)) rows.push(this.fileRow(f, depth));
    };
    walk(this.root, 0);
    this.body.replaceChildren(...rows);
  }
  dirRow(dir, name, depth) {
    const style = { "padding-left": depth * 20 + "px" };
    const props = {
      type: "button",
      class: "name mono",
      style,
      "aria-expanded": String(!!dir.open),
    };
    const button = el("button", props, icon("caret"), name + "/");
    button.onclick = () => {
      const at = [...this.body.querySelectorAll("button")].indexOf(button);
      dir.open = !dir.open;
      this.draw();
      this.body.querySelectorAll("button")[at]?.focus();
    };
    return el(
      "tr",
      {},
      el("th", { scope: "row" }, button),
      this.o.cells(dir.values, this.root.values),
    );
  }
  fileRow(f, depth) {
    const style = { "padding-left": depth * 20 + 20 + "px" };
    const name = el("span", { class: "name leaf mono", style }, this.o.name(f.row, f.name));
    return el(
      "tr",
      {},
      el("th", { scope: "row" }, name),
      this.o.cells(f.values, this.root.values, f.row),
    );
  }
}

// share is a bar for the part of a whole.
function share(part, all, cls = "") {
  const width = (all ? (100 * part) / all : 0) + "%";
  return el(
    "span",
    { class: "share " + cls, "aria-hidden": "true" },
    el("i", { style: { width } }),
  );
}
