// Log shows the build's log. Only the rows in view are in the document.

const tallest = 8e6; // pixels; browsers limit the height of an element
const maxUnfolded = 200; // lines of commands that are unfolded at first, if none failed

class Log {
  constructor(build, index, blocks) {
    this.build = build;
    this.index = index;
    this.blocks = blocks;
    this.target = [-1, -1];
    this.wrap = this.errors = this.agent = false;
    this.agentLines = new Set(index.agent);
    this.errorLines = new Set(index.errors);
    this.search = new Search(this);
    this.open = this.openAtFirst();
    this.pin = el("div", { class: "pin" });
    this.window = el("div", { class: "window" });
    this.sizer = el("div", { class: "sizer" }, this.window);
    const label = { tabindex: 0, role: "region", "aria-label": "Lines of the log" };
    this.box = el("div", { class: "scroller", id: "log-box", ...label }, this.pin, this.sizer);
    this.box.addEventListener("scroll", () => this.draw(), { passive: true });
    $("view-log").append(this.tools(), this.box);
    new ResizeObserver(() => this.draw()).observe(this.box);
    this.arrange();
  }
  openAtFirst() {
    const all = this.index.sections,
      bad = all.some(s => s.bad);
    const wanted = s => (bad ? s.bad : s.end - s.output <= maxUnfolded);
    return new Set(all.map((_, n) => n).filter(n => wanted(all[n])));
  }
  tools() {
    const toggle = (name, key, text, rest, run) => {
      const props = { type: "button", class: "button", "aria-keyshortcuts": key };
      const b = el(
        "button",
        { ...props, "data-do": name },
        el("span", {}, text, span("opt", rest)),
      );
      b.onclick = run;
      return b;
    };
    this.buttons = {
      errors: toggle("errors", "e", "Errors", " only", () => this.toggle("errors")),
      wrap: toggle("wrap", "w", "Wrap", " lines", () => this.toggle("wrap")),
      fold: toggle("fold", "f", "", "", () => this.foldAll()),
      agent: toggle("agent", "a", "Agent", " lines", () => this.toggle("agent")),
    };
    this.buttons.errors.append(span("num", number(this.index.errors.length)));
    for (const name of ["errors", "wrap", "agent"]) pressed(this.buttons[name], false);
    const form = el(
      "form",
      { class: "bar-tools", role: "search" },
      this.search.field(),
      Object.values(this.buttons),
    );
    form.onsubmit = e => e.preventDefault();
    return form;
  }
  // arrange makes the layout, after folding or filtering.
  arrange() {
    const { index, open, errors, agent, blocks } = this;
    this.layout = new Layout({ index, open, errors, agent, total: blocks.total });
    // A wrapped line counts as one row here, so the end needs room to scroll to.
    const room = this.wrap ? Math.max(24, this.box.clientHeight - 60) : 24;
    this.total = this.layout.height + room;
    this.sizer.style.height = Math.min(this.total, tallest) + "px";
    this.allOpen = open.size >= index.sections.length;
    this.buttons.fold.firstChild.textContent = this.allOpen ? "Fold all" : "Unfold all";
    this.draw();
  }
  // scale is how many pixels of the log a pixel of the scroll bar is.
  get scale() {
    const room = this.box.clientHeight;
    return this.total <= tallest ? 1 : (this.total - room) / (tallest - room);
  }
  // y is the place at the top of the box.
  get y() {
    return Math.min(this.box.scrollTop * this.scale, Math.max(0, this.layout.height - rowHeight));
  }
  goTo(y) {
    this.box.scrollTop = Math.max(0, y) / this.scale;
    this.draw();
  }
  draw() {
    const room = this.box.clientHeight,
      items = this.layout.items;
    if (!items.length) {
      this.pin.replaceChildren();
      const text = this.errors ? "No line looks like an error." : "The log is empty.";
      this.window.replaceChildren(el("p", { class: "empty" }, text));
      return;
    }
    if (!room) return;
    const y = this.y,
      at = this.layout.at(y),
      first = items[at];
    const unit = first.kind === "lines" ? rowHeight : first.height;
    const skipped = first.kind === "lines" ? Math.floor((y - first.top) / rowHeight) : 0;
    const focus =
      this.window.contains(document.activeElement) && document.activeElement.dataset.key;
    const rows = this.rows(at, skipped, room + 80);
    this.window.replaceChildren(...rows);
    // A wrapped row is higher than its share of the scroll bar.
    const part = (y - first.top - skipped * rowHeight) / unit;
    const height = this.wrap ? rows[0].offsetHeight : unit;
    this.window.style.top = this.box.scrollTop - part * height + "px";
    const widest = Math.max(this.window.offsetWidth, parseFloat(this.sizer.style.minWidth) || 0);
    this.sizer.style.minWidth = this.wrap ? "" : widest + "px";
    if (focus) {
      const again = this.window.querySelector(`[data-key="${focus}"]`);
      (again || this.box).focus({ preventScroll: true });
    }
    this.drawPin(first, y);
  }
  // rows returns the rows from an item on, until they fill a height.
  rows(at, skipped, height) {
    const rows = [],
      items = this.layout.items;
    for (let sum = 0; sum < height && at < items.length; at++, skipped = 0) {
      const it = items[at];
      if (it.kind !== "lines") {
        rows.push(this[it.kind](it));
        sum += it.height;
        continue;
      }
      for (let k = skipped; k < it.height / rowHeight && sum < height; k++, sum += rowHeight) {
        rows.push(this.row(it.from + k));
      }
    }
    return rows;
  }
  // drawPin keeps the heading of the command in view at the top.
  drawPin(first, y) {
    const pinned = first.section >= 0 && (first.kind !== "head" || y > first.top);
    this.pin.replaceChildren(...(pinned ? [this.head({ section: first.section }, true)] : []));
  }
  phase(it) {
    const p = this.build.phases.find(p => p.type === it.phase);
    return el(
      "div",
      { class: "lp" },
      p?.name || it.phase || "Output",
      p && span("dim num", seconds(p.seconds)),
    );
  }
  head({ section }, pin) {
    const s = this.index.sections[section],
      c = this.build.commands[s.command];
    const n = s.end - s.output,
      open = this.open.has(section);
    const props = {
      "aria-expanded": String(open),
      "data-key": "h" + section,
      tabindex: pin ? -1 : 0,
    };
    const b = el(
      "button",
      { type: "button", class: "lh" + (open ? " open" : ""), ...props },
      icon("caret"),
      verdict(s.bad),
      el("code", { class: "clip" }, firstLine(c?.text || "command")),
      span(
        "push num",
        s.bad && c && span("bad opt", "exit status " + c.exit),
        span("opt", n ? count(n, "line") : "no output"),
        c && span("", seconds(c.seconds)),
      ),
    );
    b.style.width = this.box.clientWidth + "px";
    b.onclick = () => this.toggleSection(section, pin);
    return b;
  }
  gap(it) {
    return el("div", { class: "ln gap" }, count(it.n, "line") + " without errors");
  }
  row(i) {
    const line = this.blocks.peek(i, () => this.later());
    if (!line) return el("div", { class: "ln" });
    const isAgent = this.agentLines.has(i),
      isTarget = i >= this.target[0] && i <= this.target[1];
    const cls = isTarget ? " target" : this.errorLines.has(i) ? " err" : "";
    const text = isAgent ? line.text.replace(/^\[Container\] \S+ \S+ /, "") : line.text;
    const number = el(
      "a",
      {
        class: "n",
        href: "#log/L" + (i + 1),
        "data-key": "l" + i,
        "aria-label": "Line " + (i + 1),
        tabindex: -1,
        onclick: e => this.choose(e, i),
      },
      String(i + 1),
    );
    return el(
      "div",
      { class: "ln" + cls + (isAgent ? " agent" : "") },
      number,
      span("at", this.timeText(i)),
      el(
        "span",
        { class: "t" },
        colored(text, line.style, this.search.query, this.search.isCurrent(i)),
      ),
    );
  }
  // timeText returns the time of a line, unless it is that of the line before.
  timeText(i) {
    const time = this.blocks.time(i)?.toFixed(1),
      before = i > 0 && this.blocks.time(i - 1)?.toFixed(1);
    return time === undefined || time === before ? "" : "+" + time;
  }
  // later draws again when blocks were unpacked.
  later() {
    if (this.asked) return;
    this.asked = true;
    requestAnimationFrame(() => {
      this.asked = false;
      this.draw();
    });
  }
  toggleSection(section, pin) {
    if (!this.open.delete(section)) this.open.add(section);
    this.arrange();
    if (pin) this.goTo(this.layout.headOf(section).top);
  }
  // choose extends the range of lines with shift; else the link does it all.
  choose(e, i) {
    if (!e.shiftKey || this.target[0] < 0) return;
    e.preventDefault();
    const from = Math.min(this.target[0], i),
      to = Math.max(this.target[0], i);
    history.replaceState(null, "", `#log/L${from + 1}-L${to + 1}`);
    this.show([from, to], true);
  }
  // show marks a range of lines, and scrolls to it; with stay only if it is out of view.
  show(range, stay) {
    if (!(range[0] < this.blocks.total))
      return say("The log has " + count(this.blocks.total, "line"));
    this.target = range;
    this.reveal(range[0], stay);
  }
  reveal(i, stay) {
    if (this.layout.topOf(i) < 0) this.unhide(i);
    const y = this.layout.topOf(i);
    const seen = y >= this.y + headHeight && y <= this.y + this.box.clientHeight - 60;
    if (y >= 0 && !(stay && seen)) this.goTo(y - this.box.clientHeight / 3);
    else this.draw();
  }
  // unhide unfolds and unfilters what hides a line.
  unhide(i) {
    const section = this.index.sections.findIndex(s => i >= s.output && i < s.end);
    if (this.errors && !this.errorLines.has(i)) this.set("errors", false);
    if (section >= 0) this.open.add(section);
    else this.set("agent", true);
    this.arrange();
  }
  // command shows a command by its number in the build.
  command(n) {
    const section = this.index.sections.findIndex(s => s.command === n);
    if (section < 0) return;
    this.open.add(section);
    this.arrange();
    const head = this.layout.headOf(section);
    if (head) this.goTo(head.top);
  }
  // begin shows the first failed command.
  begin() {
    const bad = this.index.sections.find(s => s.bad);
    if (bad) this.command(bad.command);
    this.draw();
  }
  // step goes to the next error line, or to the one before.
  step(by) {
    const e = this.index.errors,
      from = this.target[0];
    const at = by > 0 ? lowerBound(e, from + 1) : lowerBound(e, from < 0 ? Infinity : from) - 1;
    if (e[at] === undefined) return say(`No ${by > 0 ? "later" : "earlier"} error line`);
    history.replaceState(null, "", "#log/L" + (e[at] + 1));
    this.show([e[at], e[at]]);
  }
  set(name, on) {
    this[name] = on;
    pressed(this.buttons[name], on);
    if (name === "wrap") this.box.classList.toggle("wraps", on);
  }
  // toggle changes a switch, and keeps the place if it can.
  toggle(name) {
    const at = this.layout.items[this.layout.at(this.y)];
    const line = at?.kind === "lines" ? at.from + Math.floor((this.y - at.top) / rowHeight) : -1;
    this.set(name, !this[name]);
    this.arrange();
    const top = line < 0 || name === "errors" ? -1 : this.layout.topOf(line);
    this.goTo(top < 0 ? 0 : top);
  }
  foldAll() {
    this.open = new Set(this.allOpen ? [] : this.index.sections.map((_, n) => n));
    this.arrange();
    this.goTo(0);
  }
}
