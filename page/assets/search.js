// Search finds lines of the log block by block, so that the first matches are shown at once.

const maxMatches = 100000;

class Search {
  constructor(log) {
    this.log = log;
    this.query = "";
    this.matches = [];
    this.at = -1;
  }
  field() {
    this.input = searchField("log-search", "Search the log", text => this.start(text));
    this.input.setAttribute("aria-keyshortcuts", "/");
    this.input.addEventListener("keydown", e => {
      if (e.key === "Enter") this.move(e.shiftKey ? -1 : 1);
    });
    this.status = el("span", { class: "hits num dim", id: "log-hits", role: "status" });
    const step = (shape, label, by) => {
      const b = el("button", { class: "quiet", type: "button", "aria-label": label }, icon(shape));
      b.onclick = () => this.move(by);
      return b;
    };
    return el(
      "div",
      { class: "search" },
      this.input,
      this.status,
      step("up", "Previous match", -1),
      step("down", "Next match", 1),
    );
  }
  isCurrent(line) {
    return this.matches[this.at] === line;
  }
  async start(text) {
    const run = (this.run = Symbol("a later search ends this one"));
    this.query = text.toLowerCase();
    this.matches = [];
    this.at = -1;
    const blocks = this.query ? this.log.index.blocks : [];
    for (let n = 0; n < blocks.length; n++) {
      const block = await unpack("log-" + n);
      if (run !== this.run) return;
      this.find(plain(block).toLowerCase(), blocks[n].first);
      if (this.at < 0 && this.matches.length) this.move(1);
      this.tally(n + 1 < blocks.length);
    }
    this.tally(false);
    this.log.draw();
  }
  // find adds the matching lines of a block.
  find(text, line) {
    let begin = 0; // of the line
    for (let i = text.indexOf(this.query); i >= 0; i = text.indexOf(this.query, begin)) {
      if (this.matches.length >= maxMatches) return;
      for (
        let end = text.indexOf("\n", begin);
        end >= 0 && end < i;
        end = text.indexOf("\n", begin)
      ) {
        line++;
        begin = end + 1;
      }
      if (this.log.agent || !this.log.agentLines.has(line)) this.matches.push(line);
      const end = text.indexOf("\n", i);
      if (end < 0) return;
      line++;
      begin = end + 1;
    }
  }
  tally(more) {
    const n = this.matches.length;
    const found = `${number(this.at + 1)} of ${number(n)}${more ? "…" : ""}`;
    const none = more ? "searching…" : "no match";
    this.status.textContent = !this.query ? "" : n ? found : none;
  }
  move(by) {
    const n = this.matches.length;
    if (!n) return;
    this.at = (this.at + by + n) % n;
    if (this.log.errors) {
      this.log.set("errors", false);
      this.log.arrange();
    }
    this.log.reveal(this.matches[this.at], true);
    this.tally(false);
  }
}
