// Drives the pages in headless Chromium as a user would. It ends with 1 if anything is not as
// it says. Arguments: files as JSON, the browser, the directory of the modules.
"use strict";
const assert = require("node:assert/strict");
const fs = require("node:fs");
const files = JSON.parse(process.argv[2]);
const { chromium } = require(process.argv[4] + "/playwright-core");
const axe = fs.readFileSync(process.argv[4] + "/axe-core/axe.min.js", "utf8");

const flags = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-sync",
  "--disable-background-networking",
  "--disable-component-update",
];

// open opens a page, and notes what it must not do.
async function open(browser, file, hash, options) {
  const p = await browser.newPage({ viewport: { width: 1280, height: 800 }, ...options });
  p.faults = [];
  p.on("pageerror", e => p.faults.push("error: " + e.message + e.stack));
  p.on("console", m => /^(error|warning)$/.test(m.type()) && p.faults.push(m.text()));
  p.on("request", r => /^(file|data|blob):/.test(r.url()) || p.faults.push("request: " + r.url()));
  await p.goto("file://" + file + (hash || ""), { waitUntil: "commit" });
  return p;
}

const ready = (p, part) =>
  p.waitForFunction(part => document.documentElement.dataset.ready === part, part);
const text = (p, selector) => p.locator(selector).first().innerText();

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

const is = (get, what) => until(get, got => assert.deepEqual(got, what));
const holds = (get, what) => until(get, got => assert.match(got, what));
const says = (p, selector, what) => holds(() => text(p, selector), what);
const rows = p => p.locator("#log-box .window > *").allInnerTexts();
const targets = p => p.locator("#log-box .ln.target .n").allInnerTexts();

// faults returns what is wrong with a view: its width, deceptive characters, and all findings
// of axe.
async function faults(p) {
  const excess = await p.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  const text = await p.evaluate(() =>
    document.documentElement.outerHTML.replace(/<script[^]*?<\/script>/g, ""),
  );
  await p.evaluate(axe);
  const found = await p.evaluate(() =>
    axe.run(document, {
      runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    }),
  );
  return [
    ...(excess > 0 ? [`too wide by ${excess} px`] : []),
    ...(/[\u0000\u202e\u2066]/.test(text) ? ["has characters that reorder text"] : []),
    ...found.violations.flatMap(v => v.nodes.map(n => `${v.id}: ${n.html.slice(0, 200)}`)),
  ];
}

async function close(p) {
  assert.deepEqual(p.faults, []);
  assert.notEqual(await p.title(), "harmed", "a stranger's script ran");
  await p.close();
}

const tests = {
  async "the reason of a failure is first"(browser) {
    const p = await open(browser, files.small);
    await ready(p, "overview");
    await says(p, "h1", /^Build 7 failed in false <\/script><img/);
    await says(
      p,
      ".lede",
      /^\d+ of 300 tests failed: 1 newly failing.*One more command.*post-build/,
    );
    await says(p, ".facts", /0123456 <\/script>.*Duration\s*1 min 30 s.*Engine\s*Docker/s);
    await says(p, ".cause", /Build, command 2 of 2. Exit status 1 after 9.00 s/);
    await says(p, ".cause .lines", /6\s*<\/script>.*7\s*ä false/s);
    await is(() => p.locator(".cause .lines .hit .under").first().innerText(), "false");
    await says(p, ".cause .hint", /<b>bold<\/b>/);
    await says(
      p,
      ".cause .hint",
      /Build 5 succeeded. Since then 7 files have changed: .*b and 5 others/s,
    );
    // lines of the output are links to those of the log
    await is(() => p.locator(".cause a.n").allInnerTexts(), ["9", "10"]);
    await says(p, ".also summary", /Post-build, exit status 2/);
    await is(() => p.locator(".also[open]").count(), 0);
    await says(p, ".fails li", /newly failing/);
    await says(p, ".next", /buildlocal run/);
    await close(p);
  },

  async "a phase that failed without a command has its place and its hint"(browser) {
    const p = await open(browser, files.phase);
    await ready(p, "overview");
    await says(p, ".cause .command", /Download source/);
    await says(p, ".cause .message", /^no value for <b>bold<\/b>/);
    await says(p, ".cause", /CodeBuild says: Decrypted Variables Error: parameter does not exist/);
    await says(p, ".cause h3", /^buildspec.yml:2:3$/);
    await is(() => p.locator(".cause .lines .hit .under").first().innerText(), "TOKEN");
    await says(p, ".cause .hint", /-e TOKEN=VALUE/);
    await close(p);
  },

  async "copy buttons copy the text beside them"(browser) {
    const p = await open(browser, files.small);
    await ready(p, "overview");
    await p.context().grantPermissions(["clipboard-read", "clipboard-write"]);
    await p.locator(".next button").first().click();
    await is(() => p.locator(".toast").innerText(), "Copied");
    await holds(
      () => p.evaluate(() => navigator.clipboard.readText()),
      /^buildlocal run <\/script>/,
    );
    await close(p);
  },

  async "the time line has commands, usage and output"(browser) {
    const p = await open(browser, files.small);
    await ready(p, "overview");
    await says(p, ".time", /CPU peak 2.0 of 2 vCPU.*Memory peak 89 MiB of 4 GiB/s);
    await is(() => p.locator(".row.cmd").count(), 3);
    await says(p, ".fine", /^Submitted took less than 10 ms/);
    const bar = await p
      .locator(".row.cmd .bar")
      .first()
      .evaluate(e => [e.style.left, e.style.width]);
    assert.deepEqual(
      bar.map(x => parseFloat(x).toFixed(1)),
      ["11.1", "66.7"],
    );
    await p.locator(".row.cmd").nth(1).click();
    await says(p, ".peek:not([hidden])", /Line 7.*started at \+70.0 s/s);
    await says(p, ".peek:not([hidden]) .lines", /Error: boom.*the last line/s);
    await p.locator(".peek:not([hidden]) a", { hasText: "Show in log" }).click();
    await ready(p, "log");
    await close(p);
  },

  async "a green build has no failures, and says where it ran"(browser) {
    const p = await open(browser, files.green);
    await ready(p, "overview");
    await says(p, "h1", /^Build 7 succeeded$/);
    await says(p, ".notice", /this machine's own files \(<\/script>.*result may differ/s);
    await says(p, ".facts", /none: this host's tools/);
    await is(() => p.locator(".cause, .fails").count(), 0);
    await says(p, ".copyline", /^buildlocal run/);
    await close(p);
  },

  async "builds of older versions are shown"(browser) {
    const p = await open(browser, files.old);
    await ready(p, "overview");
    await says(p, "h1", /^Build 7 failed in false/);
    await says(p, ".cause", /Build\s+<\/script>/);
    await p.keyboard.press("2");
    await ready(p, "log");
    await holds(async () => (await rows(p)).join("\n"), /Error: boom/);
    await close(p);
  },

  async "tests are listed, failures first, found and filtered"(browser) {
    const p = await open(browser, files.small);
    await p.click("nav a[href='#tests']");
    await ready(p, "tests");
    await is(() => text(p, "#test-count"), "300 test cases");
    const first = p.locator(".case").first();
    const hostile = p.locator(".case", { hasText: "<img src=x" });
    await holds(() => hostile.innerText(), /newly failing/);
    await says(p, ".detail", /newly failing.*src\/a\.js:2.*failed in 0 of 2 builds/s);
    await says(p, ".detail pre", /<b>bold<\/b>/);
    await p.fill("#test-filter", "TEST 42");
    await is(() => text(p, "#test-count"), "1 of 300 test cases");
    await p.fill("#test-filter", "a line of a stack");
    await is(() => text(p, "#test-count"), "3 of 300 test cases");
    await p.fill("#test-filter", "");
    await p.getByRole("button", { name: "Failed" }).click();
    await is(() => text(p, "#test-count"), "4 of 300 test cases");
    await p.getByRole("button", { name: "Slowest" }).click();
    await holds(() => first.innerText(), /test 299/);
    await first.click();
    await holds(() => p.url(), /#tests\/299$/);
    await says(p, ".detail h3", /test 299/);
    await p.keyboard.press("j");
    await says(p, ".detail h3", /<\/script>/);
    await p.keyboard.press("j");
    await says(p, ".detail h3", /test 50/);
    await p.keyboard.press("k");
    await says(p, ".detail h3", /<\/script>/);
    await p.click(".detail a[href^='#coverage/']");
    await says(p, ".source .target", /second/);
    await close(p);
  },

  async "the log begins with the failed command, in color and with times"(browser) {
    const p = await open(browser, files.small, "#log");
    await ready(p, "log");
    await holds(async () => (await rows(p)).join("\n"), /false.*exit status 1.*\n.*Error: boom/s);
    await is(() => p.locator("#log-box .err .t").first().innerText(), "Error: boom");
    await holds(async () => (await rows(p)).join(" "), /\+\d+\.\d/);
    await p.keyboard.press("f");
    await holds(async () => (await rows(p)).join("\n"), /still red plain/);
    const red = await p.locator("#log-box .c1").allInnerTexts();
    assert.deepEqual(red.slice(0, 3), ["red", "still red", "red"]);
    const all = (await rows(p)).join("\n");
    assert.match(all, /^[^]*\n100%|\d\s*100%/);
    assert.doesNotMatch(all, /50%|Entering phase/);
    await p.keyboard.press("a");
    await holds(async () => (await rows(p)).join("\n"), /Entering phase BUILD/);
    await p.keyboard.press("a");
    await p.keyboard.press("e");
    await is(async () => (await rows(p)).filter(r => /without errors/.test(r)).length, 0);
    await holds(async () => (await rows(p)).join("\n"), /Error: boom/);
    assert.doesNotMatch((await rows(p)).join("\n"), /the last line/);
    await close(p);
  },

  async "places of the log can be linked to"(browser) {
    const p = await open(browser, files.small, "#log/L4");
    await ready(p, "log");
    await is(() => targets(p), ["4"]);
    await p.locator("#log-box .ln .n", { hasText: /^6$/ }).click({ modifiers: ["Shift"] });
    await is(() => targets(p), ["4", "5", "6"]);
    await holds(() => p.url(), /#log\/L4-L6$/);
    await p.evaluate(() => (location.hash = "#log/L1"));
    await is(() => targets(p), ["1"]); // a line of the agent, which was hidden
    await p.evaluate(() => (location.hash = "#log/c2"));
    await holds(async () => (await rows(p)).join("\n"), /exit status 2/);
    await p.evaluate(() => (location.hash = "#log/L999"));
    await says(p, ".toast", /The log has 17 lines/);
    await p.evaluate(() => (location.hash = "#%E0%A4%A"));
    await ready(p, "overview");
    await close(p);
  },

  async "the log is searched"(browser) {
    const p = await open(browser, files.small);
    await ready(p, "overview");
    await p.keyboard.press("/");
    await ready(p, "log");
    await p.waitForFunction(() => document.activeElement.id === "log-search");
    await p.keyboard.type("RED");
    await is(() => text(p, "#log-hits"), "1 of 4");
    await p.keyboard.press("Enter");
    await is(() => text(p, "#log-hits"), "2 of 4");
    await p.keyboard.press("Escape");
    await p.keyboard.press("N");
    await is(() => text(p, "#log-hits"), "1 of 4");
    await is(() => p.locator("mark.now").allInnerTexts(), ["red"]);
    await p.fill("#log-search", "nowhere");
    await is(() => text(p, "#log-hits"), "no match");
    await close(p);
  },

  async "a large log is fast"(browser) {
    const began = Date.now();
    const p = await open(browser, files.large);
    await ready(p, "overview");
    const paint = await p.evaluate(
      () => performance.getEntriesByName("first-contentful-paint")[0]?.startTime,
    );
    console.log(`     first paint ${Math.round(paint)} ms, overview ${Date.now() - began} ms`);
    await p.evaluate(() => (location.hash = "#log/L700001"));
    await is(() => targets(p), ["700001"]);
    await holds(async () => (await rows(p)).join("\n"), /line 699999 of a log/);
    await p.evaluate(() => (document.getElementById("log-box").scrollTop = 1e9));
    await holds(async () => (await rows(p)).join("\n"), /the last line of all/);
    const count = await p.locator("#log-box .window > *").count();
    assert.ok(count < 80, `${count} rows are in the document`);
    const searched = Date.now();
    await p.fill("#log-search", "line 799999 ");
    await is(() => text(p, "#log-hits"), "1 of 1");
    console.log(`     search of 800,000 lines ${Date.now() - searched} ms`);
    await p.keyboard.press("Escape");
    await p.keyboard.press("w");
    await holds(async () => (await rows(p)).join("\n"), /line 799999/);
    await p.evaluate(() => (location.hash = "#tests"));
    await is(() => text(p, "#test-count"), "20,000 test cases");
    assert.ok((await p.locator(".case").count()) <= 300);
    await p.getByRole("button", { name: /Show 300 of/ }).click();
    await is(() => p.locator(".case").count(), 600);
    await close(p);
  },

  async "files without a build have their reports"(browser) {
    const p = await open(browser, files.files);
    await ready(p, "tests");
    await is(() => p.locator("nav a").count(), 2);
    await is(() => text(p, "#test-count"), "5 test cases");
    await close(p);
  },

  async "artifacts are a tree"(browser) {
    const p = await open(browser, files.small, "#artifacts");
    await ready(p, "artifacts");
    await says(p, "#view-artifacts .head", /Files\s*637, 20\.\d MB/);
    await says(p, "#view-artifacts tbody", /dist\//);
    const closed = () => p.locator("#view-artifacts [aria-expanded=false]");
    while (await closed().count()) await closed().first().click();
    await is(() => p.locator("#view-artifacts tbody a").count(), 636);
    const href = await p.locator("#view-artifacts a[href*=img]").getAttribute("href");
    assert.match(href, /^artifacts\/dist\/%3C\/script%3E%3Cimg/);
    await close(p);
  },

  async "the environment has the user's variables first"(browser) {
    const p = await open(browser, files.small, "#environment");
    await ready(p, "environment");
    await says(
      p,
      "#view-environment .group",
      /Your variables\s*2.*TOKEN.*Parameter Store, buildspec.yml:3/s,
    );
    await says(p, "#view-environment .side", /Engine\s*docker.*Restored\s*3 files, 4.0 kB/s);
    await close(p);
  },

  async "coverage has the source"(browser) {
    const p = await open(browser, files.small, "#coverage/src/a.js:2");
    await ready(p, "coverage");
    await says(p, ".source .target", /2\s*− 0×\s*if \(x\) <b>second/);
    await is(() => p.locator(".source .part").count(), 1);
    await close(p);
  },

  async "the index lists, filters and links builds"(browser) {
    const p = await open(browser, files.index);
    await ready(p, "builds");
    await says(p, ".lede", /^1 of the last 3 builds succeeded. The latest, build 7, timed out/);
    await is(() => p.locator(".builds li").count(), 3);
    await p.getByRole("button", { name: "Failed" }).click();
    await is(() => p.locator(".builds li").count(), 2);
    await p.fill("#filter", "IMG SRC");
    await is(() => p.locator(".builds li").count(), 1);
    await p.fill("#filter", "nothing");
    await says(p, ".builds .empty", /No build matches/);
    await p.fill("#filter", "");
    await p.getByRole("button", { name: "All", exact: true }).click();
    await p.selectOption("select", "main");
    await is(() => p.locator(".builds li").count(), 2);
    await p.keyboard.press("j");
    await p.keyboard.press("Enter");
    await ready(p, "overview");
    await says(p, "h1", /^Build 7/);
    await p.keyboard.press("b");
    await ready(p, "builds");
    await close(p);
  },

  async "everything is reached by keyboard"(browser) {
    const p = await open(browser, files.small);
    await ready(p, "overview");
    const seen = [];
    for (let i = 0; i < 11; i++) {
      await p.keyboard.press("Tab");
      seen.push(await p.evaluate(() => document.activeElement.textContent.trim()));
    }
    for (const part of ["Skip to content", "Overview", "Tests", "Coverage", "Log", "Artifacts"]) {
      assert.ok(
        seen.some(s => s.startsWith(part)),
        part + " is not reached",
      );
    }
    for (const [i, view] of [
      "overview",
      "log",
      "tests",
      "coverage",
      "artifacts",
      "environment",
    ].entries()) {
      await p.keyboard.press(String(i + 1));
      await ready(p, view);
      assert.equal(await p.locator("nav [aria-current=page]").getAttribute("href"), "#" + view);
    }
    await p.keyboard.press("1");
    await ready(p, "overview");
    await p.keyboard.press("j");
    await is(
      () => p.evaluate(() => document.activeElement.textContent.includes("What went wrong")),
      true,
    );
    await p.keyboard.press("j");
    await is(() => p.evaluate(() => document.activeElement.tagName), "SUMMARY");
    await p.keyboard.press("Enter");
    await is(() => p.locator(".also[open]").count(), 1);
    await p.keyboard.press("?");
    await says(p, "dialog[open]", /Next or previous failure/);
    await p.keyboard.press("Escape");
    await p.keyboard.press("t");
    await is(() => p.evaluate(() => document.documentElement.dataset.theme), "light");
    await p.reload();
    await is(() => p.evaluate(() => document.documentElement.dataset.theme), "light");
    await close(p);
  },

  async "without JavaScript there are the verdict and the facts"(browser) {
    const context = await browser.newContext({ javaScriptEnabled: false });
    const p = await context.newPage();
    await p.goto("file://" + files.small, { waitUntil: "commit" });
    await says(p, "h1", /^Build 7 failed in false/);
    await says(p, ".facts", /Duration/);
    await context.close();
  },

  async "printing shows everything but the log"(browser) {
    const p = await open(browser, files.small);
    await ready(p, "overview");
    await p.emulateMedia({ media: "print", colorScheme: "dark" });
    await p.evaluate(() => dispatchEvent(new Event("beforeprint")));
    for (const view of ["overview", "tests", "coverage", "artifacts", "environment"]) {
      await is(() => p.locator(`#view-${view} :not(.sr)`).first().isVisible(), true);
    }
    await is(() => p.locator("#view-log").isVisible(), false);
    await is(() => p.locator("nav").isVisible(), false);
    await is(
      () => p.evaluate(() => getComputedStyle(document.body).backgroundColor),
      "rgb(255, 255, 255)",
    );
    await close(p);
  },

  async "every view fits, is readable and accessible"(browser) {
    const all = ["overview", "log", "tests", "coverage/src/a.js:2", "artifacts", "environment"];
    const pages = [
      ...all.map(v => ["small", "#" + v]),
      ["green", ""],
      ["old", ""],
      ["files", ""],
      ["index", ""],
    ];
    const looks = [
      ["light", 360],
      ["light", 1280],
      ["light", 2560],
      ["dark", 1280],
    ];
    const wrong = [];
    for (const [colorScheme, width] of looks) {
      for (const [file, hash] of pages) {
        const viewport = { width, height: 900 };
        const p = await open(browser, files[file], hash, { colorScheme, viewport });
        const part =
          { index: "builds", files: "tests" }[file] || hash.slice(1).split("/")[0] || "overview";
        await ready(p, part);
        for (const fault of await faults(p))
          wrong.push(`${file} ${part} ${width} ${colorScheme}: ${fault}`);
        if (files.shots) {
          const path = `${files.shots}/${file}-${part}-${width}-${colorScheme}.png`;
          await p.screenshot({ path, fullPage: true });
        }
        await close(p);
      }
    }
    assert.deepEqual(wrong, []);
  },
};

(async () => {
  const browser = await chromium.launch({ executablePath: process.argv[3], args: flags });
  const only = new RegExp(process.env.BUILDLOCAL_PAGE_TEST || "");
  for (const [name, test] of Object.entries(tests)) {
    if (!only.test(name)) continue;
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
