const stores = { PARAMETER_STORE: "Parameter Store, ", SECRETS_MANAGER: "Secrets Manager, " };

// variableTable lists variables. A value from a store is the name of the secret.
function variableTable(title, rows) {
  if (!rows.length) return null;
  const heads = ["Name", "Value", "From"].map(h => el("th", { scope: "col" }, h));
  const value = v => {
    if (!stores[v.type]) return v.value || span("dim", "empty");
    return [el("span", { role: "img", "aria-label": "masked" }, "•••• "), span("dim", v.value)];
  };
  const origin = v => (stores[v.type] || "") + (isOwn(v) ? v.origin || "" : "CodeBuild");
  return el(
    "div",
    { class: "group" },
    heading(title, span("dim num", number(rows.length))),
    el(
      "table",
      { class: "var" },
      el("thead", {}, el("tr", {}, heads)),
      el(
        "tbody",
        {},
        rows.map(v =>
          el(
            "tr",
            {},
            el("th", { scope: "row" }, v.name),
            el("td", {}, value(v)),
            el("td", {}, origin(v)),
          ),
        ),
      ),
    ),
  );
}

function machineFacts(m) {
  if (!m) return [];
  return [
    ["Engine", [m.engine, m.engineVersion].filter(Boolean).join(" ")],
    ["Address", m.engineAddress],
    ["Machine", m.name],
    ["System", m.system],
    ["Processors", m.cpus && number(m.cpus)],
    ["Memory", m.memoryInBytes && memory(m.memoryInBytes)],
    ["Compute type", m.computeType],
  ];
}

function cacheFacts(cache) {
  const took = entry => entry && ` in ${seconds(entry.durationInMilliseconds / 1000)}`;
  return [
    ["Key", cache.key && code(cache.key)],
    ["Restored", [cacheEntry(cache.restored, "nothing"), took(cache.restored)].filter(Boolean)],
    [
      "Saved",
      [cacheEntry(cache.saved, cache.result || "nothing"), took(cache.saved)].filter(Boolean),
    ],
    ...cache.paths.map(path => ["Path", code(path)]),
    ...(cache.problems || []).map(text => ["Problem", text]),
  ];
}

// environment lists the variables, the user's own first, and where the build ran.
function environment(box, build) {
  const exported = build.exported.map(v => ({ ...v, origin: "exported-variables" }));
  const facts = [
    ...build.facts.map(([name, value]) => [name, value]),
    ...machineFacts(build.machine),
  ];
  box.append(
    el(
      "div",
      { class: "overview calm" },
      el(
        "div",
        { class: "when" },
        el(
          "div",
          {},
          variableTable("Your variables", build.variables.filter(isOwn)),
          variableTable("Exported by the build", exported),
          variableTable(
            "Set by CodeBuild",
            build.variables.filter(v => !isOwn(v)),
          ),
        ),
      ),
      el(
        "div",
        { class: "side" },
        el("div", {}, heading("Where it ran"), terms("left", facts)),
        build.cache && el("div", {}, heading("Cache"), terms("left", cacheFacts(build.cache))),
      ),
    ),
  );
}
