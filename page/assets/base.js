"use strict";
// Shared by the page of a build and the index. Text of a build reaches a page only as text
// nodes and attributes, never as HTML.

const $ = id => document.getElementById(id);

const isNothing = c => c === undefined || c === null || c === false || c === "";

// shown returns a text as it is shown: see visible.
const shown = x => (typeof x === "string" ? visible(x) : x);

// el makes an element: properties, then children (texts, elements, lists, or nothing).
// Characters that deceive are replaced in all texts.
function el(name, props, ...children) {
  const e = document.createElement(name);
  for (const [key, value] of Object.entries(props || {})) {
    if (value === undefined || value === null || value === false) continue;
    if (key === "class") e.className = value;
    else if (key === "style") for (const p in value) e.style.setProperty(p, value[p]);
    else if (key.startsWith("on")) e.addEventListener(key.slice(2), value);
    else e.setAttribute(key, value === true ? "" : shown(value));
  }
  const filled = children.flat(Infinity).filter(c => !isNothing(c));
  e.append(...filled.map(shown));
  return e;
}

const span = (cls, ...children) => el("span", { class: cls }, children);
const code = text => el("code", {}, text);
const link = (href, ...children) => el("a", { href }, children);

// svg makes an element of a drawing.
function svg(name, props, ...children) {
  const e = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const key in props) e.setAttribute(key, props[key]);
  e.append(...children);
  return e;
}

const shapes = {
  caret: "M3 1l4 4-4 4",
  copy: "M6 6h7v7H6zM3 10V3h7",
  done: "M3 8.5l3.2 3L13 4.5",
  up: "M4 10l4-4 4 4",
  down: "M4 6l4 4 4-4",
  auto: "M8 2a6 6 0 100 12zM8 2a6 6 0 010 12",
  light: "M8 5a3 3 0 100 6 3 3 0 000-6M8 1.5v1M8 13.5v1M1.5 8h1M13.5 8h1",
  dark: "M13 9.5A5.5 5.5 0 116.5 3 4.5 4.5 0 0013 9.5z",
};

function icon(name) {
  const size = name === "caret" ? 10 : 16,
    cls = name === "caret" ? "caret" : "icon";
  const props = { viewBox: `0 0 ${size} ${size}`, class: cls, "aria-hidden": "true" };
  return svg("svg", props, svg("path", { d: shapes[name] }));
}

// verdict is the sign of a result, with words for screen readers.
function verdict(bad, words = bad ? "failed" : "succeeded") {
  return el(
    "span",
    { class: bad ? "bad" : "dim", role: "img", "aria-label": words },
    bad ? "✗" : "✓",
  );
}

const heading = (text, ...more) => el("div", { class: "head" }, el("h2", {}, text), more);
const more = (href, text) => el("a", { class: "more", href }, text);

// terms is a list of names and values.
function terms(cls, rows) {
  const filled = rows.filter(row => row && !isNothing(row[1]));
  return el(
    "dl",
    { class: "kv " + cls },
    filled.map(([name, value, c]) => [el("dt", { class: c }, name), el("dd", { class: c }, value)]),
  );
}

// lowerBound returns the index of the first number in a sorted list that is not below x.
function lowerBound(list, x) {
  let low = 0,
    high = list.length;
  while (low < high) {
    const mid = (low + high) >> 1;
    if (list[mid] < x) low = mid + 1;
    else high = mid;
  }
  return low;
}
