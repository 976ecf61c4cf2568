// artifactTree lists the files of all artifacts. Secondary ones are below their identifiers.
function artifactTree(box, artifacts) {
  const several = new Set(artifacts.map(a => a.set)).size > 1;
  const address = path => path.split("/").map(encodeURIComponent).join("/");
  const name = (a, text) => {
    if (a.link) return text + " → " + a.link;
    return a.local ? link(address(a.local), text) : text;
  };
  const tree = new Tree({
    rows: artifacts.map(a => ({
      ...a,
      path: several ? (a.set || "primary") + "/" + a.path : a.path,
    })),
    heads: ["Name", "Files", "", "Size", "SHA-256"],
    values: a => [a.size, 1],
    cells: (v, all, a) => [
      el("td", { class: "num dim" }, a ? "" : number(v[1])),
      el("td", {}, share(v[0], all[0])),
      el("td", { class: "num" }, bytes(v[0])),
      el("td", { class: "mono dim opt", title: a?.hash }, a ? a.hash.slice(0, 12) : ""),
    ],
    name,
  });
  const total = `${number(artifacts.length)}, ${bytes(sum(artifacts.map(a => a.size)))}`;
  const largest = [...artifacts].sort((a, b) => b.size - a.size).slice(0, 12);
  box.append(
    el(
      "div",
      { class: "overview calm pair art" },
      el(
        "div",
        { class: "when" },
        el("div", {}, heading("Files", span("dim num", total)), tree.box),
      ),
      el(
        "div",
        { class: "side" },
        el(
          "div",
          {},
          heading("Largest files"),
          terms(
            "num",
            largest.map(a => [span("mono", a.path), bytes(a.size)]),
          ),
        ),
      ),
    ),
  );
}
