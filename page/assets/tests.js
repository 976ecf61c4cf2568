const statuses = ["FAILED", "ERROR", "SKIPPED", "UNKNOWN", "SUCCEEDED"];
const signs = { FAILED: "✗", ERROR: "‼", SKIPPED: "○", UNKNOWN: "?", SUCCEEDED: "✓" };
const changes = { NEWLY_FAILING: "newly failing", STILL_FAILING: "still failing", FIXED: "fixed", FLAKY: "flaky" };
const letters = { P: "passed", F: "failed", E: "error", S: "skipped", U: "unknown", "-": "not run" };

// Tests shows the list of test cases, and the details of the selected one.
class Tests {
  constructor(table) {
    this.t = table;
    this.count = table.name.length;
    this.off = new Set();
    this.chosen = -1;
    this.low = null;
    this.list = new List($("test-list"), 44, row => this.row(row));
    this.tools();
    this.filter();
  }
  tools() {
    const set = $("test-statuses");
    for (const s of statuses) {
      const n = this.t.status.reduce((sum, x) => sum + (x === s), 0);
      if (!n) continue;
      set.append(el("label", {}, el("input", {
        type: "checkbox", checked: true, "data-status": s,
        onchange: e => { if (e.target.checked) this.off.delete(s); else this.off.add(s); this.filter(); },
      }), el("span", { class: s }, " " + signs[s] + " " + s.toLowerCase() + " (" + n + ")")));
    }
    const again = later(() => this.filter(), 80);
    $("test-filter").addEventListener("input", again);
    $("test-order").addEventListener("change", () => this.filter());
    $("test-tools").addEventListener("submit", e => e.preventDefault());
    $("test-list").addEventListener("keydown", e => this.key(e));
  }
  // searched returns the texts that the filter searches, in lower case. They are made when a
  // filter is typed, because most pages are read without one.
  searched() {
    if (!this.low) {
      const t = this.t;
      this.low = t.name.map((name, i) => (t.suite[i] + "\n" + t.prefix[i] + "\n" + name + "\n" + t.message[i]).toLowerCase());
    }
    return this.low;
  }
  filter() {
    const t = this.t, query = $("test-filter").value.trim().toLowerCase();
    const low = query ? this.searched() : null;
    this.rows = [];
    for (let i = 0; i < this.count; i++) {
      if (this.off.has(t.status[i]) || low && !low[i].includes(query)) continue;
      this.rows.push(i);
    }
    const rank = Object.fromEntries(statuses.map((s, i) => [s, i < 2 ? 0 : i]));
    const order = $("test-order").value;
    if (order === "bad") this.rows.sort((a, b) => rank[t.status[a]] - rank[t.status[b]] || a - b);
    if (order === "slow") this.rows.sort((a, b) => t.seconds[b] - t.seconds[a] || a - b);
    $("test-count").textContent = this.rows.length === this.count ? this.count + " test cases" : this.rows.length + " of " + this.count + " test cases";
    this.list.setCount(this.rows.length);
    if (this.chosen >= 0 && !this.rows.includes(this.chosen)) {
      this.chosen = -1;
      $("test-list").removeAttribute("aria-activedescendant");
      $("test-detail").replaceChildren();
    }
  }
  row(row) {
    const t = this.t, i = this.rows[row];
    const where = [t.suite[i], t.prefix[i]].filter((x, n, all) => x && all.indexOf(x) === n).join(" › ");
    return el("div", {
      class: "row", role: "option", id: "test-" + i, "aria-selected": String(i === this.chosen),
      "aria-posinset": row + 1, "aria-setsize": this.rows.length,
      onclick: () => { location.hash = "tests/" + i; this.lookAt(); },
    }, el("span", { class: "name" }, el("span", { class: "status " + t.status[i] }, signs[t.status[i]] + " " + t.status[i]), " " + visible(t.name[i])),
      el("span", { class: "where" }, seconds(t.seconds[i]) + (t.change[i] ? ", " + changes[t.change[i]] : "") + (where ? "  " + visible(where) : "")));
  }
  // lookAt scrolls to the selected case if it is below the list, as on a narrow screen.
  lookAt() {
    const box = $("test-detail");
    if (box.getBoundingClientRect().top > innerHeight * 0.7) requestAnimationFrame(() => box.scrollIntoView({ block: "nearest" }));
  }
  key(e) {
    if (e.key === "Enter") { this.lookAt(); $("test-detail").focus(); return; }
    const at = this.rows.indexOf(this.chosen);
    const page = Math.max(1, Math.floor(this.list.box.clientHeight / 44) - 1);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, PageDown: at + page, PageUp: at - page, Home: 0, End: this.rows.length - 1 }[e.key];
    if (to === undefined || e.ctrlKey || e.altKey || e.metaKey) return;
    e.preventDefault();
    const i = this.rows[Math.max(0, Math.min(this.rows.length - 1, to))];
    if (i !== undefined) { history.replaceState(null, "", "#tests/" + i); this.choose(i); }
  }
  choose(i) {
    if (!(i >= 0 && i < this.count)) { $("test-count").textContent = "there are " + count(this.count, "test case"); return; }
    this.chosen = i;
    const row = this.rows.indexOf(i);
    if (row >= 0 && !this.list.isSeen(row)) this.list.goTo(row); else this.list.show();
    $("test-list").setAttribute("aria-activedescendant", "test-" + i);
    $("test-detail").replaceChildren(...this.detail(i));
  }
  detail(i) {
    const t = this.t;
    const fact = (name, value) => value ? [el("dt", { class: "soft" }, name), el("dd", {}, value)] : [];
    const known = t.covered.includes(t.place[i].replace(/:\d+$/, ""));
    const place = known ? el("a", { href: "#coverage/" + encodeURIComponent(t.place[i]) }, t.place[i]) : t.place[i];
    return [
      el("h3", {}, el("span", { class: "status " + t.status[i] }, signs[t.status[i]] + " " + t.status[i]), " " + visible(t.name[i])),
      el("dl", {}, ...fact("Report", t.groups[t.group[i]]), ...fact("Suite", visible(t.suite[i])), ...fact("Prefix", visible(t.prefix[i])),
        ...fact("Took", seconds(t.seconds[i])), ...fact("Compared with the previous build", changes[t.change[i]]),
        ...fact("Source", place), ...fact("File", visible(t.raw[i])), ...fact("Earlier builds", this.history(i))),
      t.message[i] ? el("pre", { tabindex: "0" }, ...colored(t.message[i], "", "")) : el("p", { class: "soft" }, "This test has no message."),
    ];
  }
  history(i) {
    const h = this.t.history[i];
    if (!h || !/[^-]/.test(h)) return "";
    return el("span", { class: "history" }, ...[...h].map((letter, n) => {
      const text = "build " + this.t.builds[n] + ": " + letters[letter];
      return el("span", { title: text, "aria-label": text, role: "img", class: { P: "SUCCEEDED", F: "FAILED", E: "ERROR" }[letter] || "soft" }, letter);
    }));
  }
}
