const invisible = new RegExp(
  "[\\u0000-\\u0008\\u000b-\\u001f\\u007f-\\u009f\\u061c\\u200b\\u200e" +
    "\\u200f\\u202a-\\u202e\\u2060-\\u2069\\ufeff]",
  "g",
);

// visible replaces characters that show nothing or reorder the text around them.
const visible = text => text.replace(invisible, "\ufffd");

const firstLine = text => text.trim().split("\n", 1)[0];

// seconds formats a duration as the header of the page does.
function seconds(s) {
  if (s < 0.0005) return s > 0 ? "<1 ms" : "0 s";
  if (s < 0.9995) return Math.round(s * 1000) + " ms";
  if (s < 59.95) return s.toFixed(s < 9.995 ? 2 : 1) + " s";
  const whole = Math.round(s),
    h = Math.floor(whole / 3600),
    m = Math.floor(whole / 60) % 60;
  return h ? `${h} h ${m} min` : `${m} min ${whole % 60} s`;
}

function bytes(n) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let i = 0;
  while (n >= 999.5 && i < 4) {
    n /= 1000;
    i++;
  }
  return (i === 0 || n >= 99.95 ? Math.round(n) : n.toFixed(1)) + " " + units[i];
}

function memory(n) {
  if (n < 2 ** 30) return Math.round(n / 2 ** 20) + " MiB";
  return (n / 2 ** 30).toFixed(1).replace(".0", "") + " GiB";
}

const number = n => n.toLocaleString("en");
const count = (n, one, many) => number(n) + " " + (n === 1 ? one : many || one + "s");
const sum = list => list.reduce((a, b) => a + b, 0);

// percent is rounded down: only all of it is 100 %.
const percent = (part, all) =>
  all ? (Math.floor((1000 * part) / all) / 10).toFixed(1) + " %" : "–";

function ago(iso) {
  const s = (Date.now() - Date.parse(iso)) / 1000;
  for (const [n, unit] of [
    [86400, "day"],
    [3600, "hour"],
    [60, "minute"],
  ]) {
    if (s >= n) return count(Math.floor(s / n), unit) + " ago";
  }
  return "just now";
}
