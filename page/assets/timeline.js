// The time line: phases and their commands on one axis, with processors and memory above.

// axisStep returns a round distance of at most six marks.
function axisStep(total) {
  const unit = 10 ** Math.floor(Math.log10(total / 6));
  return [1, 2, 5, 10].map(x => x * unit).find(step => total / step <= 6) || unit;
}

function axisText(t, step) {
  if (step < 1) return Math.round(t * 1000) + " ms";
  return t >= 120 ? Math.round(t / 6) / 10 + " min" : t + " s";
}

class Timeline {
  constructor(build, log) {
    this.build = build;
    this.log = log;
    this.total = Math.max(build.seconds, 0.001);
  }
  percent(t) {
    return Math.min(100, (100 * t) / this.total) + "%";
  }
  draw() {
    const rows = [],
      quick = [];
    for (const p of this.build.phases) {
      const commands = this.build.commands
        .map((c, i) => [c, i])
        .filter(([c]) => c.phase === p.type);
      if (!commands.length && p.seconds < 0.01 && p.status === "SUCCEEDED") quick.push(p.name);
      else rows.push(this.phaseRow(p, commands.length), ...this.commandRows(commands));
    }
    const names = quick.join(", ").replace(/, ([^,]*)$/, " and $1");
    const took = quick.length > 1 ? " took less than 10 ms each." : " took less than 10 ms.";
    return [
      heading("Timeline", span("dim more num", seconds(this.build.seconds) + " in all")),
      el("div", { class: "time" }, this.axis(), this.strips(), rows),
      names && el("p", { class: "fine" }, names, took),
    ];
  }
  axis() {
    const step = axisStep(this.total),
      marks = [];
    for (let t = 0; t < this.total * 0.97; t += step) marks.push(t);
    const at = t => ({ style: { left: this.percent(t) } });
    const hidden = { "aria-hidden": "true" };
    return [
      el(
        "div",
        { class: "grid", ...hidden },
        span(),
        span(
          "track",
          marks.map(t => el("i", at(t))),
        ),
      ),
      el(
        "div",
        { class: "axis", ...hidden },
        span(),
        span(
          "track",
          marks.map(t => el("span", at(t), axisText(t, step))),
        ),
      ),
    ];
  }
  strips() {
    const u = this.build.usage,
      m = this.build.machine || {};
    if (!u) return null;
    const cpu = Math.max(...u.cpu),
      most = Math.max(...u.memoryInBytes);
    const cores = m.vcpuLimit || m.cpus,
      limit = m.memoryLimitInBytes || m.memoryInBytes;
    const of = text => (text ? " of " + text : "");
    return [
      this.strip(
        "CPU",
        u.cpu,
        Math.max(cores || 0, cpu),
        `peak ${cpu.toFixed(1)}${of(cores && cores + " vCPU")}`,
      ),
      most > 0 &&
        this.strip(
          "Memory",
          u.memoryInBytes,
          most * 1.15,
          `peak ${memory(most)}${of(limit && memory(limit))}`,
        ),
    ];
  }
  // strip draws values over the time of the build.
  strip(name, values, top, text) {
    const u = this.build.usage,
      step = u.stepInMilliseconds / 1000,
      start = u.startInMilliseconds / 1000;
    const x = i =>
      ((1000 * Math.min(this.total, start + (i + 0.5) * step)) / this.total).toFixed(1);
    const line = values
      .map((v, i) => `${x(i)},${(100 - (100 * v) / (top || 1)).toFixed(1)}`)
      .join("L");
    const area = `M${x(0)},100L${line}L${x(values.length - 1)},100Z`;
    const box = { viewBox: "0 0 1000 100", preserveAspectRatio: "none", "aria-hidden": "true" };
    return el(
      "div",
      { class: "strip" },
      span("clip", name, " ", span("dim num", text)),
      span("track", svg("svg", box, svg("path", { d: area }), svg("path", { d: "M" + line }))),
    );
  }
  bar(start, length, cls) {
    if (start === undefined) return span("track");
    const style = { left: this.percent(start), width: (100 * length) / this.total + "%" };
    const bar = el("span", { class: "bar " + cls, style });
    return el("span", { class: "track", "aria-hidden": "true" }, bar);
  }
  phaseRow(p, commands) {
    const bad = p.status !== "SUCCEEDED",
      words = p.status.toLowerCase().replace("_", " ");
    return el(
      "div",
      { class: "row phase" + (commands ? "" : " none") },
      span("label", span("clip", p.name), bad && span("bad plain", words)),
      this.bar(p.start, p.seconds, bad ? "bad" : ""),
      span("num right", seconds(p.seconds)),
    );
  }
  // commandRows returns rows of commands. Those of thousands would be of no use.
  commandRows(commands) {
    const most = 200,
      shown = commands.slice(0, most);
    const rows = shown.map(([c, i]) => this.commandRow(c, i));
    if (commands.length > most) {
      const text = `and ${count(commands.length - most, "more command")}, in the log`;
      rows.push([el("p", { class: "fine" }, text)]);
    }
    return rows;
  }
  commandRow(c, index) {
    const bad = c.exit !== 0,
      panel = el("div", { class: "peek", hidden: true });
    const row = el(
      "button",
      { type: "button", class: "row cmd", "aria-expanded": "false" },
      span("label", verdict(bad), el("code", { class: "clip", title: c.text }, firstLine(c.text))),
      this.bar(c.start, c.seconds, bad ? "bad" : ""),
      span("num right" + (bad ? " bad" : ""), seconds(c.seconds)),
    );
    row.onclick = () => {
      panel.hidden = !panel.hidden;
      row.setAttribute("aria-expanded", String(!panel.hidden));
      if (!panel.childElementCount) this.peek(c, index, panel);
    };
    return [row, panel];
  }
  // peek shows the facts and the last lines of a command.
  async peek(c, index, panel) {
    const section = sectionOf(this.log, index);
    const facts = [
      c.line ? "Line " + c.line + " of the buildspec" : "A command of the image",
      c.note,
      c.start !== undefined && `started at +${c.start.toFixed(1)} s`,
      c.memory && memory(c.memory) + " at peak",
      c.cpu !== undefined && seconds(c.cpu) + " of CPU time",
    ];
    panel.append(el("p", { class: "dim" }, facts.filter(Boolean).join(", ") + "."));
    if (!section) return;
    const lines = [];
    for (let at = Math.max(section.output, section.end - 10); at < section.end; at++) {
      lines.push({ at, text: (await logBlocks(this.log).get(at)).text });
    }
    panel.append(
      lines.length ? outputLines(lines) : el("p", { class: "dim" }, "No output."),
      el("p", {}, link("#log/c" + index, "Show in log")),
    );
  }
}
