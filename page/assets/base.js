"use strict";
// A page is data that stands in it, and what is done with it here. Whatever came out of
// the build is put into the page as text only, never as HTML.

const $ = id => document.getElementById(id);

// el makes an element: its properties, then its children, texts or elements.
function el(name, props, ...children) {
  const e = document.createElement(name);
  for (const [key, value] of Object.entries(props || {})) {
    if (value === undefined || value === false || value === null) continue;
    if (key === "class") e.className = value;
    else if (key.startsWith("on")) e.addEventListener(key.slice(2), value);
    else e.setAttribute(key, value === true ? "" : value);
  }
  e.append(...children.filter(c => c !== undefined && c !== null && c !== ""));
  return e;
}

// bytes of a piece of data, unpacked.
async function unpack(id) {
  const packed = $("data-" + id);
  if (!packed) return null;
  const text = atob(packed.textContent);
  const raw = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) raw[i] = text.charCodeAt(i);
  const stream = new Blob([raw]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

const decoder = new TextDecoder();
const pieces = new Map();

// data returns a value that stands in the page; it is read once.
function data(id) {
  if (!pieces.has(id)) pieces.set(id, unpack(id).then(raw => raw && JSON.parse(decoder.decode(raw))));
  return pieces.get(id);
}

// visible replaces characters that show nothing, or change what is shown around them.
function visible(text) {
  return text.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, "\ufffd");
}

function seconds(s) {
  if (s === 0) return "0s";
  if (s < 0.001) return (s * 1e6).toFixed(0) + "µs";
  if (s < 1) return (s * 1000).toFixed(s < 0.01 ? 1 : 0) + "ms";
  if (s < 60) return s.toFixed(2) + "s";
  return Math.floor(s / 60) + "m" + Math.round(s % 60) + "s";
}

function size(n) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let i = 0;
  while (n >= 1000 && i < units.length - 1) { n /= 1000; i++; }
  return (i === 0 ? n : n.toPrecision(3)) + units[i];
}

// later runs f once nothing has asked for it for a while.
function later(f, ms) {
  let timer = 0;
  return () => { clearTimeout(timer); timer = setTimeout(f, ms); };
}

function table(heads, rows) {
  return el("table", {}, el("thead", {}, el("tr", {}, ...heads.map(h => el("th", { scope: "col" }, h)))), el("tbody", {}, ...rows));
}
