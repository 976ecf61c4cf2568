// Coverage is a tree of files, and the source of one of them.
class Coverage {
  constructor(files, source) {
    this.files = files;
    this.source = source;
    // With several reports, files are below their groups, because two may cover one file.
    this.several = new Set(files.map(f => f.group)).size > 1;
    const fraction = (part, all) => [
      el("td", {}, share(part, all, "cov")),
      el("td", { class: "num" }, percent(part, all)),
      el("td", { class: "num dim opt" }, all ? `${number(part)} of ${number(all)}` : ""),
    ];
    const tree = new Tree({
      rows: files.map(f => ({ path: this.address(f), file: f })),
      heads: ["File", "", "Lines", "", "", "Branches", ""],
      values: ({ file }) => [...file.lines, ...file.branches],
      cells: v => [fraction(v[0], v[1]), fraction(v[2], v[3])],
      name: (row, text) => link("#coverage/" + encodeURIComponent(row.path), text),
    });
    this.box = el("div", { id: "coverage-source" });
    $("view-coverage").append(
      el("div", { class: "split wide" }, el("div", {}, tree.box), this.box),
    );
  }
  address(f) {
    return this.several ? f.group + "/" + f.path : f.path;
  }
  // choose shows a file, and a line of it: PATH[:LINE]. The path is that of the report or of
  // the source, because links from tests have the latter.
  choose(text) {
    const [, path, line] = /^([^]*?)(?::(\d+))?$/.exec(text);
    const keys = [f => this.address(f), f => f.path, f => f.source];
    const f = keys.map(key => this.files.find(f => key(f) === path)).find(Boolean);
    if (!f) return this.box.replaceChildren(el("p", {}, `No report covers ${path}.`));
    const title = el("h3", { tabindex: -1 }, this.address(f));
    this.box.replaceChildren(title, this.lines(f, Number(line)));
    (this.box.querySelector(".target") || this.box).scrollIntoView({
      block: line ? "center" : "nearest",
    });
    if (!line) title.focus({ preventScroll: true });
  }
  lines(f, target) {
    const detail = new Map(),
      d = f.detail || [],
      text = this.source[f.source];
    for (let i = 0; i < d.length; i += 4) detail.set(d[i], d.slice(i + 1, i + 4));
    if (!detail.size) return el("p", { class: "dim" }, "The report has only totals for this file.");
    const all = text?.replace(/\n$/, "").split("\n");
    const numbers = all
      ? all.map((_, i) => i + 1)
      : [...detail.keys()].sort((a, b) => a - b).slice(0, 20000);
    const rows = numbers.map(n => this.line(n, detail.get(n), all ? all[n - 1] : "", n === target));
    const head = el(
      "tr",
      {},
      ["Line", "Ran", "Source"].map(h => el("th", { scope: "col" }, h)),
    );
    const table = el("table", {}, el("thead", {}, head), el("tbody", {}, rows));
    const label = "Lines of " + f.path;
    const box = el(
      "div",
      { class: "source", tabindex: 0, role: "region", "aria-label": label },
      table,
    );
    const note =
      "The source is not available, or has changed since. These lines are in the report.";
    return all ? box : el("div", {}, el("p", { class: "dim" }, note), box);
  }
  line(n, detail, text, target) {
    let kind = "",
      words = "";
    if (detail) {
      const [ran, covered, all] = detail;
      kind = ran === 0 ? "miss" : all > covered ? "part" : "hit";
      words = [ran >= 0 && ran + "×", all && `${covered}/${all} branches`]
        .filter(Boolean)
        .join(" ");
    }
    const sign = { miss: "− ", part: "± ", hit: "+ " }[kind] || "";
    return el(
      "tr",
      { class: kind + (target ? " target" : "") },
      el("th", { scope: "row" }, String(n)),
      el("td", { class: "num" }, sign, words),
      el("td", {}, text),
    );
  }
}
