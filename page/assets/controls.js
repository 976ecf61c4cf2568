const pressed = (button, on) => button.setAttribute("aria-pressed", String(on));

// choice makes buttons of which one is pressed, and calls onchange with its key.
function choice(options, chosen, onchange) {
  const buttons = Object.entries(options).map(([key, text]) => {
    const props = { type: "button", class: "button", "aria-pressed": String(key === chosen) };
    const button = el("button", props, text);
    button.onclick = () => {
      for (const b of buttons) pressed(b, b === button);
      onchange(key);
    };
    return button;
  });
  return buttons;
}

// copyButton copies the text beside it.
function copyButton(text) {
  const label = "Copy " + text;
  const props = { type: "button", class: "quiet", "aria-label": label };
  const button = el("button", props, icon("copy"));
  button.onclick = () => copy(text, button);
  return button;
}

async function copy(text, button) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    copyFromField(text); // browsers that have no clipboard for files
  }
  button.replaceChildren(icon("done"));
  say("Copied");
  setTimeout(() => button.replaceChildren(icon("copy")), 1500);
}

function copyFromField(text) {
  const field = el("textarea", { class: "sr" });
  field.value = text; // unchanged, unlike the text that is shown
  document.body.append(field);
  field.select();
  document.execCommand("copy");
  field.remove();
}

let toast, toastTimer;

// say shows a message for a moment, and reads it out.
function say(text) {
  if (!toast) document.body.append((toast = el("div", { class: "toast", role: "status" })));
  toast.hidden = false;
  toast.textContent = shown(text);
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => (toast.hidden = true), 1500);
}

const nextThemes = { auto: "light", light: "dark", dark: "auto" };

// setTheme sets the color scheme: that of the system unless one was chosen.
function setTheme(theme) {
  if (theme === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  $("theme").replaceChildren(icon(theme));
  const name = theme === "auto" ? "system" : theme;
  $("theme").setAttribute("aria-label", "Color scheme: " + name);
  try {
    localStorage.setItem("buildlocal-theme", theme);
  } catch {
    // not kept
  }
}

function nextTheme() {
  setTheme(nextThemes[document.documentElement.dataset.theme || "auto"]);
}

function startTheme() {
  let theme = "auto";
  try {
    theme = localStorage.getItem("buildlocal-theme");
  } catch {
    // not kept
  }
  setTheme(theme in nextThemes ? theme : "auto");
  $("theme").onclick = nextTheme;
}

// startHelp fills the list of keys: pairs of keys, separated by spaces, and what they do.
function startHelp(keys) {
  const dialog = $("keys");
  const rows = keys.map(([names, text]) => [
    el(
      "dt",
      {},
      names.split(" ").map((key, i) => [i ? " " : "", el("kbd", {}, key)]),
    ),
    el("dd", {}, text),
  ]);
  const close = el("button", { class: "button", type: "button" }, "Close");
  close.onclick = () => dialog.close();
  const title = el("h2", { id: "keys-title" }, "Keyboard shortcuts");
  dialog.append(el("div", { class: "head" }, title, close), el("dl", { class: "keys" }, rows));
  dialog.onclick = e => e.target === dialog && dialog.close();
  $("help").onclick = () => dialog.showModal();
}

// onKeys calls a function for a key that is typed outside of fields, without modifiers.
function onKeys(keys) {
  addEventListener("keydown", e => {
    if (e.ctrlKey || e.metaKey || e.altKey || $("keys").open) return;
    if (/^(INPUT|SELECT|TEXTAREA)$/.test(e.target.tagName)) {
      if (e.key === "Escape") e.target.blur();
    } else if (keys[e.key]) {
      e.preventDefault();
      keys[e.key]();
    }
  });
}

// searchField makes a field that calls onsearch a moment after it was changed.
function searchField(id, label, onsearch) {
  const props = { class: "field", id, type: "search", autocomplete: "off", spellcheck: "false" };
  const field = el("input", { ...props, placeholder: label, "aria-label": label });
  let timer;
  field.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(() => onsearch(field.value), 100);
  });
  return field;
}
