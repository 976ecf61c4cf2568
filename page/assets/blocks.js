// The text of the log is in blocks, which are unpacked when they are seen or searched.

const maxKept = 16; // unpacked blocks

class Blocks {
  constructor(index) {
    this.index = index;
    this.firsts = index.blocks.map(b => b.first);
    this.kept = new Map();
    this.begins = new Set(index.sections.map(s => s.line));
    // pairs of a line and a time, as sums of the differences in the data
    this.timed = [];
    this.times = [];
    let line = 0,
      ms = 0;
    for (let i = 0; i < index.times.length; i += 2) {
      this.timed.push((line += index.times[i]));
      this.times.push((ms += index.times[i + 1]));
    }
    const last = index.blocks.at(-1);
    this.total = last ? last.first + last.lines : 0;
  }
  blockOf(line) {
    return lowerBound(this.firsts, line + 1) - 1;
  }
  // time returns the seconds from the beginning of the build, or undefined.
  time(line) {
    const ms = this.times[lowerBound(this.timed, line + 1) - 1];
    return ms === undefined ? undefined : ms / 1000;
  }
  load(n) {
    let block = this.kept.get(n);
    if (!block) {
      block = { lines: null };
      block.ready = unpack("log-" + n).then(text => {
        block.lines = text.split("\n");
        block.styles = this.styles(n, block.lines);
      });
      this.kept.set(n, block);
      if (this.kept.size > maxKept) this.kept.delete(this.kept.keys().next().value);
    }
    return block;
  }
  // styles returns the colors at the beginning of each line of a block. Each command begins
  // without colors, whatever the one before left behind.
  styles(n, lines) {
    let style = this.index.blocks[n].style || "";
    const first = this.firsts[n];
    return lines.map((line, i) => {
      if (this.begins.has(first + i)) style = "";
      const before = style;
      style = styleAfter(line, style);
      return before;
    });
  }
  // peek returns a line, or nothing while its block is being unpacked; then calls back.
  peek(line, later) {
    const n = this.blockOf(line),
      block = this.load(n);
    if (!block.lines) {
      block.ready.then(later);
      return null;
    }
    const i = line - this.firsts[n];
    return { text: block.lines[i] ?? "", style: block.styles[i] };
  }
  async get(line) {
    await this.load(this.blockOf(line)).ready;
    return this.peek(line);
  }
}

let onlyBlocks;
const logBlocks = index => (onlyBlocks ??= new Blocks(index));
