// A style is the classes of a text, sorted: a1 to a9 for attributes such as bold, c0 to c7 for
// the color, b0 to b7 for the background. style.go does the same for the beginnings of blocks.

const sequences = /\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])/g;

const plain = text => (text.includes("\x1b") ? text.replace(sequences, "") : text);

// nextStyle returns the style after an SGR sequence with these numbers.
function nextStyle(style, numbers) {
  let on = new Set(style.split(" ").filter(Boolean));
  const drop = test => on.forEach(c => test(c) && on.delete(c));
  const set = (kind, value) => {
    drop(c => c[0] === kind);
    if (value !== undefined) on.add(kind + (value % 8));
  };
  const all = numbers.split(";").map(Number);
  for (let i = 0; i < all.length; i++) {
    const n = all[i],
      digit = n % 10,
      kind = "cb"[Number((n >= 40 && n < 50) || n >= 100)];
    if (n === 0) on = new Set();
    else if (n <= 9) on.add("a" + n);
    else if (n === 22) drop(c => c === "a1" || c === "a2");
    else if (n >= 23 && n <= 29) on.delete("a" + (n - 20));
    else if (n === 38 || n === 48) {
      // one of 256 colors, of which the first sixteen have a class, or RGB, which has no class
      if (all[i + 1] === 5) set(kind, all[i + 2] < 16 ? all[i + 2] : undefined);
      i += { 5: 2, 2: 4 }[all[i + 1]] || 0;
    } else if (n === 39 || n === 49) set(kind);
    else if ((n >= 30 && n < 50) || (n >= 90 && n < 108)) set(kind, digit);
  }
  return [...on].sort().join(" ");
}

// styleAfter returns the style after a line that begins with one.
function styleAfter(line, style) {
  if (!line.includes("\x1b[")) return style;
  for (const m of line.matchAll(/\x1b\[([0-9;]*)m/g)) style = nextStyle(style, m[1]);
  return style;
}

// maxShown is the number of characters of a line that are shown. A longer line is cut around
// the first match of a search.
const maxShown = 8000;

// colored returns the nodes of a line in its colors, with the matches of a search marked.
function colored(line, style = "", query = "", current = false) {
  const nodes = [];
  const put = text => {
    if (!text) return;
    const parts = marked(text, query, current);
    nodes.push(...(style ? [span(style, parts)] : parts));
  };
  if (line.length > maxShown) {
    const text = plain(line);
    const at = query ? Math.max(0, text.toLowerCase().indexOf(query) - maxShown / 2) : 0;
    if (at) nodes.push(span("dim", `… ${at} characters … `));
    put(text.slice(at, at + maxShown));
    const rest = text.length - at - maxShown;
    if (rest > 0) nodes.push(span("dim", ` … ${number(rest)} more characters`));
    return nodes;
  }
  let from = 0;
  for (const m of line.matchAll(sequences)) {
    put(line.slice(from, m.index));
    from = m.index + m[0].length;
    const sgr = /^\x1b\[([0-9;]*)m$/.exec(m[0]);
    if (sgr) style = nextStyle(style, sgr[1]);
  }
  put(line.slice(from));
  return nodes;
}

// marked returns the nodes of a text with the matches of a search, which is in lower case.
function marked(text, query, current) {
  if (!query) return [text];
  const low = text.toLowerCase(),
    nodes = [];
  let from = 0;
  for (let i = low.indexOf(query); i >= 0; i = low.indexOf(query, from)) {
    const match = el("mark", { class: current && "now" }, text.slice(i, i + query.length));
    nodes.push(text.slice(from, i), match);
    from = i + query.length;
  }
  return [...nodes, text.slice(from)];
}
