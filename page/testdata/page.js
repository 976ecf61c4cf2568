// Drives the page in headless Chromium as a person would. It ends with 1 at the first
// thing that is not as it says. Arguments: files as JSON, the browser, the driver.
"use strict";
const assert = require("node:assert/strict");
const files = JSON.parse(process.argv[2]);
const { chromium } = require(process.argv[4]);

const flags = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];

// open opens a page, and notes what it must not do.
async function open(browser, file, hash, options) {
  const p = await browser.newPage({ viewport: { width: 1280, height: 800 }, ...options });
  p.faults = [];
  p.on("pageerror", e => p.faults.push("error: " + e.message));
  p.on("console", m => { if (m.type() === "error" || m.type() === "warning") p.faults.push(m.text()); });
  p.on("request", r => { if (!/^(file|data|blob):/.test(r.url())) p.faults.push("request: " + r.url()); });
  await p.goto("file://" + file + (hash || ""), { waitUntil: "commit" });
  return p;
}

const ready = (p, part) => p.waitForFunction(part => document.documentElement.dataset.ready === part, part);
const text = (p, selector) => p.locator(selector).innerText();

// until tries again what a page may need a moment for.
async function until(get, check) {
  for (const end = Date.now() + 20000; ; await new Promise(done => setTimeout(done, 20))) {
    try {
      return check(await get());
    } catch (e) {
      if (Date.now() > end) throw e;
    }
  }
}

const is = (get, what) => until(get, got => assert.equal(got, what));
const holds = (get, what) => until(get, got => assert.match(got, what));
const says = (p, selector, what) => holds(() => text(p, selector), what);

async function close(p) {
  assert.deepEqual(p.faults, []);
  assert.equal(await p.title().then(t => t === "harmed"), false, "a stranger's script ran");
  await p.close();
}

const tests = {
  async "the summary says what happened"(browser) {
    const p = await open(browser, files.small);
    await ready(p, "summary");
    await says(p, "h1", /FAILED demo<\/script>.*#7/);
    await says(p, ".took", /in 1m30s; BUILD: <\/script>/);
    await is(() => p.locator(".phases tbody tr").count(), 2);
    await says(p, "#summary > .groups", /demo-unit 300 tests.*1 newly failing \(against build 6\)/s);
    await close(p);
  },

  async "tests are listed, failures first, found and filtered"(browser) {
    const p = await open(browser, files.small);
    await p.click("nav a[href='#tests']");
    await ready(p, "tests");
    await is(() => text(p, "#test-count"), "300 test cases");
    const first = p.locator("#test-list .row").first();
    await holds(() => first.innerText(), /FAILED <\/script><img src=x/);
    await says(p, "#test-detail", /newly failing.*src\/a\.js:2/s);
    await says(p, "#test-detail pre", /<b>bold<\/b>/);
    await p.fill("#test-filter", "TEST 42");
    await p.waitForFunction(() => document.getElementById("test-count").textContent === "1 of 300 test cases");
    await p.fill("#test-filter", "a line of a stack");
    await p.waitForFunction(() => document.getElementById("test-count").textContent === "3 of 300 test cases");
    await p.fill("#test-filter", "");
    await p.uncheck("[data-status=SUCCEEDED]");
    await says(p, "#test-count", /^34 of 300/);
    await p.check("[data-status=SUCCEEDED]");
    await p.selectOption("#test-order", "slow");
    await holds(() => p.locator("#test-list .row").first().innerText(), /test 299/);
    await p.focus("#test-list");
    await p.keyboard.press("Home");
    await p.keyboard.press("ArrowDown");
    await says(p, "#test-detail h3", /test 298/);
    await holds(() => p.url(), /#tests\/298$/);
    await is(() => p.getAttribute("#test-list", "aria-activedescendant"), "test-298");
    await p.click("#test-list .row >> nth=0");
    await says(p, "#test-detail h3", /test 299/);
    await close(p);
  },

  async "the log is coloured, folded and searched"(browser) {
    const p = await open(browser, files.small, "#log");
    await ready(p, "log");
    await p.locator("#log-list .row", { hasText: "still red" }).waitFor();
    await holds(() => p.locator("#log-list .row", { hasText: "plain red" }).locator("span.c1").innerText(), /^red$/);
    await is(() => p.locator("#log-list .row", { hasText: "still red" }).locator("span.c1").innerText(), "still red");
    await is(() => p.locator("#log-list .row", { hasText: "100%" }).count(), 1);
    await is(() => p.locator("#log-list .row", { hasText: "50%" }).count(), 0);
    const fold = p.locator("#log-list .row button").first();
    await is(() => fold.getAttribute("aria-expanded"), "true");
    await fold.focus();
    await p.keyboard.press("Enter");
    await is(() => p.locator("#log-list .row", { hasText: "still red" }).count(), 0);
    await is(() => p.locator("#log-list .row button").first().getAttribute("aria-expanded"), "false");
    await is(() => p.evaluate(() => document.activeElement.tagName), "BUTTON");
    await p.locator("h2:visible").click();
    await p.evaluate(() => document.activeElement.blur());
    await p.keyboard.press("/");
    await p.keyboard.type("STILL");
    await p.locator("#log-list .row.found").waitFor();
    await says(p, "#log-count", /^1 of 1 lines, line 4/);
    await is(() => p.locator("mark").innerText(), "still");
    await p.fill("#log-search", "no such thing");
    await p.waitForFunction(() => document.getElementById("log-count").textContent === "no matches");
    await p.click("#log-fold");
    await is(() => p.locator("#log-list .row", { hasText: "plain red" }).count(), 0);
    await holds(() => p.locator("#log-list .row", { hasText: "make all" }).innerText(), /… 5 lines/);
    await close(p);
  },

  async "parts and lines have addresses"(browser) {
    const p = await open(browser, files.small, "#log/L4");
    await ready(p, "log");
    await holds(() => p.locator("#log-list .row.target").innerText(), /still red/);
    await p.click("#log-list .row .no >> nth=2");
    await holds(() => p.url(), /#log\/L3$/);
    await p.goto("file://" + files.small + "#tests/3");
    await ready(p, "tests");
    await says(p, "#test-detail h3", /FAILED/);
    await p.click("#test-detail dd a");
    await ready(p, "coverage");
    await says(p, ".code tr.target", /2\s+− 0×\s+if \(x\) <b>second<\/b>\(\);/);
    await p.goBack();
    await ready(p, "tests");
    await p.goto("file://" + files.small + "#nonsense/%");
    await ready(p, "summary");
    await close(p);
  },

  async "coverage is a tree with the source"(browser) {
    const p = await open(browser, files.small, "#coverage");
    await ready(p, "coverage");
    await says(p, "#coverage-tree", /All files\s+75\.0% \(3\/4\)/);
    await p.click("#coverage-tree a >> text=a.js");
    await p.locator(".code").waitFor();
    await is(() => p.locator(".code tr.miss").count(), 1);
    await is(() => p.locator(".code tr.hit").count(), 1);
    await is(() => p.locator(".code tr.part").count(), 1);
    await holds(() => p.locator(".code tr.part").innerText(), /± 1× 1\/2 branches/);
    const top = p.locator("#coverage-tree button").first();
    await top.press("Enter");
    await is(() => p.locator("#coverage-tree tbody tr").count(), 1);
    await is(() => p.evaluate(() => document.activeElement.getAttribute("aria-expanded")), "false");
    await close(p);
  },

  async "artifacts, environment and trend are there"(browser) {
    const p = await open(browser, files.small, "#artifacts");
    await ready(p, "artifacts");
    await says(p, "#artifact-table", /1\.23kB\s+0644\s+abababababab/);
    await holds(() => p.getAttribute("#artifact-table a", "href"), /^artifacts\/dist\/%3C\/script%3E/);
    await p.click("nav a[href='#environment']");
    await ready(p, "environment");
    await says(p, "#environment-table", /TOKEN\s+\*\*\*\s+-e/);
    await p.click("nav a[href='#trend']");
    await ready(p, "trend");
    await is(() => p.locator("#trend-plots svg").count(), 3);
    await says(p, "#trend-plots", /#6\s+FAILED/);
    await close(p);
  },

  async "reports of files have a page too"(browser) {
    const p = await open(browser, files.files);
    await ready(p, "summary");
    await is(() => p.locator("nav a").count(), 3);
    await p.click("nav a[href='#tests']");
    await ready(p, "tests");
    await close(p);
  },

  async "a log of 50 MB and 20,000 tests are read at once"(browser) {
    const began = Date.now();
    const p = await open(browser, files.large, "#tests");
    await ready(p, "tests");
    console.log("tests are there after", Date.now() - began, "ms");
    await is(() => text(p, "#test-count"), "20000 test cases");
    assert.ok(await p.locator("#test-list .row").count() < 100, "all rows are in the page");
    await p.locator("#test-list").evaluate(e => { e.scrollTop = e.scrollHeight; });
    await p.locator("#test-list .row", { hasText: "test 19998" }).waitFor();
    let at = Date.now();
    await p.click("nav a[href='#log']");
    await ready(p, "log");
    await p.locator("#log-list .row", { hasText: "line 5 of" }).waitFor();
    console.log("the log is there after", Date.now() - at, "ms");
    await p.locator("#log-list").evaluate(e => { e.scrollTop = e.scrollHeight; });
    await p.locator("#log-list .row", { hasText: "the last line of all" }).waitFor();
    at = Date.now();
    await p.fill("#log-search", "number 799999");
    await p.locator("#log-list .row.found").waitFor({ timeout: 60000 });
    console.log("the last line but one is found after", Date.now() - at, "ms");
    await says(p, "#log-count", /line 800001/);
    await p.goto("file://" + files.large + "#log/L400000");
    await p.locator("#log-list .row.target", { hasText: "line 399998 " }).waitFor();
    await close(p);
  },

  async "it is seen on small and large screens, light and dark"(browser) {
    for (const [width, height, colorScheme] of [[360, 740, "light"], [360, 740, "dark"], [1280, 800, "light"], [2560, 1300, "dark"]]) {
      for (const part of ["summary", "tests/3", "coverage/src%2Fa.js%3A2", "log", "artifacts", "environment", "trend"]) {
        const p = await open(browser, files.small, "#" + part, { viewport: { width, height }, colorScheme });
        const name = part.split("/")[0];
        await ready(p, name);
        const wide = await p.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
        assert.ok(wide <= 0, `${name} is ${wide} px wider than ${width} px`);
        await p.screenshot({ path: `${files.shots}/${name}-${width}-${colorScheme}.png` });
        assert.deepEqual(await p.evaluate(contrast), [], `${name} ${colorScheme}: texts that are hard to read`);
        await close(p);
      }
    }
  },

  async "all is reached by keyboard"(browser) {
    const p = await open(browser, files.small);
    await ready(p, "summary");
    const seen = [];
    for (let i = 0; i < 9; i++) {
      await p.keyboard.press("Tab");
      seen.push(await p.evaluate(() => document.activeElement.textContent.trim()));
    }
    for (const part of ["Skip to the summary", "Tests", "Coverage", "Log", "Artifacts", "Environment", "Trend"]) assert.ok(seen.includes(part), part + " is not reached");
    await p.keyboard.press("Shift+Tab");
    await p.keyboard.press("Enter");
    await p.waitForFunction(() => document.documentElement.dataset.ready !== "summary");
    await close(p);
  },
};

// contrast runs in the page: it lists texts whose colour is too near to what is behind.
function contrast() {
  const rgb = c => (c.match(/[\d.]+/g) || [0, 0, 0, 0]).map(Number);
  const light = c => { const [r, g, b] = c.map(v => { v /= 255; return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; }); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const behind = e => { for (; e; e = e.parentElement) { const c = rgb(getComputedStyle(e).backgroundColor); if (c.length < 4 || c[3] > 0) return c.slice(0, 3); } return [255, 255, 255]; };
  const bad = new Set();
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let n = walker.nextNode(); n; n = walker.nextNode()) {
    const e = n.parentElement;
    if (!n.textContent.trim() || /^(SCRIPT|STYLE|OPTION|NOSCRIPT)$/.test(e.tagName) || !e.checkVisibility() || e.closest("svg")) continue;
    const style = getComputedStyle(e), a = light(rgb(style.color).slice(0, 3)), b = light(behind(e));
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) bad.add(ratio.toFixed(2) + " " + e.className + " " + n.textContent.trim().slice(0, 30));
  }
  return [...bad];
}

(async () => {
  const browser = await chromium.launch({ executablePath: process.argv[3], args: flags });
  for (const [name, test] of Object.entries(tests)) {
    try {
      await test(browser);
      console.log("ok   " + name);
    } catch (e) {
      console.log("FAIL " + name + "\n" + e.stack);
      process.exitCode = 1;
    }
  }
  await browser.close();
})();
