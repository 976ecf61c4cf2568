"use strict";
// The data of the page is in its script elements of type text/plain; these scripts show it.
// Values from the build are put into the page as text only, never as HTML.

const $ = id => document.getElementById(id);

// el creates an element with attributes, event listeners ("on..." properties) and children,
// which are texts or elements. Empty values are skipped, so callers can use conditions.
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

// unpack returns the bytes of a piece of data, or null if the page has no such piece. The
// script runs before the page is loaded completely, so it may have to wait for the piece.
async function unpack(id) {
  while (!$("data-" + id) && document.readyState === "loading") await new Promise(done => setTimeout(done, 20));
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

// data returns a value of the page, which is unpacked once.
function data(id) {
  if (!pieces.has(id)) pieces.set(id, unpack(id).then(raw => raw && JSON.parse(decoder.decode(raw))));
  return pieces.get(id);
}

// visible replaces characters that are invisible or change the text around them, such as
// control characters and marks of direction. Tabs and line breaks are kept.
function visible(text) {
  return text.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff]/g, "\ufffd");
}

// seconds formats a duration as human.Duration of the program does.
function seconds(s) {
  const us = Math.round(s * 1e6), ms = Math.round(s * 1e3);
  if (s === 0) return "0s";
  if (us < 1) return "<1µs";
  if (us < 1000) return us + "µs";
  if (ms < 1000) return (ms < 10 ? (us / 1000).toFixed(1) : ms) + "ms";
  if (ms < 59995) return (ms / 1000).toFixed(2) + "s";
  const whole = Math.round(s), h = Math.floor(whole / 3600), m = Math.floor(whole / 60) % 60;
  return (h ? h + "h" : "") + m + "m" + whole % 60 + "s";
}

// size formats a number of bytes as human.Bytes of the program does.
function size(n) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let i = 0;
  while (i < units.length - 1 && (i ? Number(n.toPrecision(3)) : n) >= 1000) { n /= 1000; i++; }
  return (i === 0 ? n : n.toPrecision(3)) + units[i];
}

function count(n, noun) { return n + " " + noun + (n === 1 ? "" : "s"); }

// later returns a function that runs f after a pause of ms without further calls, so that a
// search does not run for each key.
function later(f, ms) {
  let timer = 0;
  const ask = () => { clearTimeout(timer); timer = setTimeout(f, ms); };
  ask.cancel = () => clearTimeout(timer);
  return ask;
}

function table(heads, rows) {
  return el("table", {}, el("thead", {}, el("tr", {}, ...heads.map(h => el("th", { scope: "col" }, h)))), el("tbody", {}, ...rows));
}
