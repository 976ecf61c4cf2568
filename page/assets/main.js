// The views of the page. Each is made when it is first shown.

const makers = {
  overview: () => overview($("view-overview")),
  log: async () => {
    const [build, index] = await Promise.all([data("build"), data("log")]);
    return new Log(build, index, logBlocks(index));
  },
  tests: async () => {
    const table = await data("tests");
    if (table?.name.length) return new Tests(table);
    const text = "No test reports. Name them in the section reports of the buildspec.";
    $("view-tests").append(el("p", { class: "empty" }, text));
    return {};
  },
  coverage: async () => new Coverage(await data("coverage"), await data("source")),
  artifacts: async () => artifactTree($("view-artifacts"), (await data("build")).artifacts),
  environment: async () => environment($("view-environment"), await data("build")),
};

const views = Object.keys(makers).filter(id => $("view-" + id));
const made = new Map();
let current = "";

function make(id) {
  if (!made.has(id))
    made.set(
      id,
      makers[id]().then(it => it || {}),
    );
  return made.get(id);
}

// address returns the view of the address, and the place in it.
function address() {
  let text = location.hash.slice(1);
  try {
    text = decodeURIComponent(text);
  } catch {
    // used as it is
  }
  const [, name, place = ""] = /^([a-z]*)(?:\/([^]*))?$/.exec(text) || [];
  return [views.includes(name) ? name : "", place];
}

// show shows the view that the address names, and the place in it.
async function show() {
  const [name, place] = address();
  if (location.hash === "#main" && current) return; // the link to skip the header
  const id = name || views[0],
    changed = id !== current;
  for (const view of views) $("view-" + view).hidden = view !== id;
  for (const a of $("views").querySelectorAll("a")) {
    if (a.hash !== "#" + id) a.removeAttribute("aria-current");
    else {
      a.setAttribute("aria-current", "page");
      a.scrollIntoView({ block: "nearest", inline: "nearest" });
    }
  }
  document.body.dataset.view = id;
  if (changed && current) {
    scrollTo(0, 0);
    if (!place) $("view-" + id).focus({ preventScroll: true });
  }
  current = id;
  const it = await make(id);
  if (current === id) open(id, it, place, changed);
  document.documentElement.dataset.ready = id;
}

// open goes to a place in a view.
function open(id, it, place, changed) {
  const [, from, to, command] = /^(?:L(\d+)(?:-L(\d+))?|c(\d+))$/.exec(place) || [];
  if (id === "log" && command) it.command(Number(command));
  else if (id === "log" && from) it.show([from - 1, (to || from) - 1], !changed);
  else if (id === "log" && changed) it.begin();
  if (id === "tests" && place && it.choose) it.choose(Number(place));
  else if (id === "tests") it.begin?.();
  if (id === "coverage" && place) it.choose(place);
}

// on calls a method of the view, if it has it.
const on =
  (method, ...values) =>
  async () =>
    (await made.get(current))[method]?.(...values);
const inLog = run => async () => current === "log" && run(await made.get("log"));

async function search() {
  if (current !== "tests" && views.includes("log")) location.hash = "log";
  await Promise.all(made.values());
  setTimeout(() => $(current === "tests" ? "test-filter" : "log-search")?.focus());
}

function startKeys() {
  const names = [...$("views").querySelectorAll("a")].map(a => a.firstChild.textContent);
  const list = names.join(", ").toLowerCase();
  startHelp([
    ["1 – " + views.length, list[0].toUpperCase() + list.slice(1)],
    ["j k", "Next or previous failure"],
    ["/", "Search the log, filter the tests"],
    ["n N", "Next or previous match"],
    ["e", "Log: errors only"],
    ["w", "Log: wrap lines"],
    ["f", "Log: fold or unfold all commands"],
    ["a", "Log: show the agent's lines"],
    ["t", "Color scheme"],
    ["b", "All builds"],
    ["?", "This list"],
  ]);
  const keys = {
    j: on("step", 1),
    k: on("step", -1),
    "/": search,
    n: inLog(log => log.search.move(1)),
    N: inLog(log => log.search.move(-1)),
    e: inLog(log => log.toggle("errors")),
    w: inLog(log => log.toggle("wrap")),
    f: inLog(log => log.foldAll()),
    a: inLog(log => log.toggle("agent")),
    t: nextTheme,
    b: () => $("all")?.click(),
    "?": () => $("keys").showModal(),
  };
  views.forEach((id, i) => (keys[i + 1] = () => (location.hash = id)));
  onKeys(keys);
}

// counts fills in the numbers of the navigation that the header does not know.
async function counts() {
  const set = (id, text) => {
    const a = $("views").querySelector(`[href="#${id}"] .count`);
    if (a) a.textContent = text;
  };
  const [build, log] = await Promise.all([data("build"), data("log")]);
  if (log) set("log", count(logBlocks(log).total, "line"));
  set("artifacts", bytes(sum(build.artifacts.map(a => a.size))));
  set("environment", String(build.variables.filter(isOwn).length));
}

function startHeader() {
  const band = document.querySelector(".band"),
    nav = $("views");
  const name = document.querySelector("h1").textContent;
  const glyph = document.querySelector(".title .glyph").cloneNode(true);
  nav.firstElementChild.append(
    el("span", { class: "stuck", "aria-hidden": "true" }, glyph, span("clip", name)),
  );
  new IntersectionObserver(([e]) => nav.classList.toggle("scrolled", !e.isIntersecting)).observe(
    band,
  );
  for (const time of document.querySelectorAll("time[datetime]")) {
    time.title = time.dateTime;
    time.append(span("dim", ", " + ago(time.dateTime)));
  }
}

// print shows all views but the log.
addEventListener("beforeprint", () => {
  for (const id of views) if (id !== "log") make(id);
  document.body.dataset.view = "overview";
});
addEventListener("afterprint", () => (document.body.dataset.view = current));
addEventListener("hashchange", show);
startTheme();
startKeys();
startHeader();
show().then(counts);
