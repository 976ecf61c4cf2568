// A layout of the log is a list of phases, commands and runs of lines, each with its top in
// pixels. It comes from the index, never from text. Folding and filtering make a new one.

const rowHeight = 20,
  headHeight = 36,
  phaseHeight = 44;

class Layout {
  // o has: index, total, open (commands by their number in the index), errors, agent.
  constructor(o) {
    this.o = o;
    this.items = [];
    this.height = 0;
    let at = 0,
      phase = null;
    o.index.sections.forEach((s, n) => {
      this.between(at, s.line);
      at = s.end;
      if (o.errors && !s.bad && !this.hasErrors(s.output, s.end)) return;
      if (s.phase !== phase) this.push("phase", phaseHeight, { phase: (phase = s.phase) });
      this.push("head", headHeight, { section: n });
      if (o.errors) this.errorLines(s, n);
      else if (o.open.has(n))
        this.push("lines", (s.end - s.output) * rowHeight, { from: s.output, section: n });
    });
    this.between(at, o.total);
  }
  push(kind, height, more) {
    if (height <= 0) return;
    this.items.push({ kind, top: this.height, height, section: -1, ...more });
    this.height += height;
  }
  // between adds lines that belong to no command, if they are wanted. A log without any
  // command has nothing else.
  between(from, to) {
    const wanted = this.o.agent || !this.o.index.sections.length;
    if (wanted && !this.o.errors) this.push("lines", (to - from) * rowHeight, { from });
  }
  hasErrors(from, to) {
    const errors = this.o.index.errors;
    return errors[lowerBound(errors, from)] < to;
  }
  // errorLines adds the error lines of a command, and the size of the gaps between them.
  errorLines(s, section) {
    const errors = this.o.index.errors;
    let last = s.output - 1;
    for (let i = lowerBound(errors, s.output); errors[i] < s.end; i++) {
      const from = errors[i],
        n = from - last - 1;
      if (n > 0) this.push("gap", rowHeight, { n, section });
      this.push("lines", rowHeight, { from, section });
      last = from;
    }
  }
  // at returns the index of the item at a place.
  at(y) {
    let low = 0,
      high = this.items.length - 1;
    while (low < high) {
      const mid = (low + high + 1) >> 1;
      if (this.items[mid].top <= y) low = mid;
      else high = mid - 1;
    }
    return low;
  }
  // topOf returns the place of a line, or -1 if it is not shown.
  topOf(line) {
    const it = this.items.find(
      it => it.kind === "lines" && line >= it.from && line < it.from + it.height / rowHeight,
    );
    return it ? it.top + (line - it.from) * rowHeight : -1;
  }
  headOf(section) {
    return this.items.find(it => it.kind === "head" && it.section === section);
  }
}
