// overview shows the reason of a failure first, then where the time went.
async function overview(box) {
  const [build, tests, log] = await Promise.all(["build", "tests", "log"].map(data));
  const failed = build.status !== "SUCCEEDED";
  const why = [failed && whatWentWrong(build, log), failedTests(tests)].filter(Boolean);
  box.append(
    el(
      "div",
      { class: "overview" + (why.length ? "" : " calm") },
      why.length > 0 && el("div", { class: "why" }, why),
      el("div", { class: "when" }, el("div", {}, new Timeline(build, log).draw())),
      el("div", { class: "side" }, side(build, tests)),
    ),
  );
  return { step: by => stepFailures(box, by) };
}

// stepFailures moves the focus to the next failure, or to the one before.
function stepFailures(box, by) {
  const all = [...box.querySelectorAll("[data-failure]")];
  if (!all.length) return say("No failures");
  const at = all.findIndex(
    x => x === document.activeElement || x.firstChild === document.activeElement,
  );
  const next = all[(Math.max(at, by < 0 ? 0 : -1) + by + all.length) % all.length];
  (next.matches("details") ? next.firstChild : next).focus();
  next.scrollIntoView({ block: "nearest" });
}
