"use strict";
// All addresses are relative: the page's own address holds the token.
const STATE_MS = 1000, RETRY_MS = 1000;
const at = (id) => document.getElementById(id);
const wait = (ms) => new Promise((done) => setTimeout(done, ms));
const fields = new Map();
let shown = 0;

function make(tag, text = "", kind = "") {
  const element = document.createElement(tag);
  element.textContent = text;
  if (kind) element.className = kind;
  return element;
}

async function ask(name, body) {
  const options = body === undefined ? {} :
    {method: "POST", headers: {"Content-Type": "application/json"}, body: JSON.stringify(body)};
  const answer = await fetch(name, options);
  const content = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(content.error || `refused (${answer.status})`);
  return content;
}

function say(text, isWrong = false) {
  at("said").textContent = text;
  at("said").className = isWrong ? "wrong" : "";
}

function makeField(option) {
  const field = make("div", "", "field");
  const label = make("label", option.name.replaceAll("_", " "));
  const control = document.createElement(option.choices.length ? "select" : "input");
  const output = make("output");
  label.htmlFor = control.id = `option_${option.name}`;
  control.disabled = true;  // Until its value is known.
  if (option.choices.length) {
    for (const choice of option.choices) control.append(new Option(choice));
  } else {
    Object.assign(control, {type: "range", min: option.low, max: option.high, step: option.step});
    control.addEventListener("input", () => { output.value = control.value; });
  }
  const entry = {control, output, isRange: control.type === "range", isHeld: false};
  control.addEventListener("pointerdown", () => { entry.isHeld = entry.isRange; });
  control.addEventListener("pointerup", () => { entry.isHeld = false; });
  control.addEventListener("change", () => set(option.name, entry));
  fields.set(option.name, entry);
  field.append(label, output, control);
  return field;
}

async function set(name, entry) {
  entry.isHeld = true;  // What is reported meanwhile is older than this.
  const value = entry.isRange ? Number(entry.control.value) : entry.control.value;
  try {
    showParameters((await ask("parameters", {[name]: value})).parameters, name);
    say(`${name.replaceAll("_", " ")} is ${value}`);
  } catch (error) {
    say(error.message, true);
  }
  entry.isHeld = false;
}

function showParameters(values, changed = "") {
  for (const [name, entry] of fields) {
    if (entry.isHeld && name !== changed) continue;
    const text = String(values[name]);
    entry.control.disabled = false;
    entry.output.value = entry.isRange ? text : "";
    if (entry.control.value !== text) entry.control.value = text;
  }
}

function showList(id, rows) {
  at(id).replaceChildren(...rows.flatMap(([name, text]) => [make("dt", name), make("dd", text)]));
}

function showState(state) {
  at("level").textContent = state.level ? `${state.state}, ${state.level}` : state.state;
  at("level").className = `level ${state.level}`;
  at("message").textContent = state.message + (state.is_old && state.level ? " (old report)" : "");
  showParameters(state.parameters);
  at("figures").replaceChildren(...state.figures.map(([name, value, note]) => {
    const box = make("div");
    box.append(make("dt", name), make("dd", value, "value"), make("dd", note, "note"));
    return box;
  }));
  showList("details", state.details);
}

async function followState() {
  for (;;) {
    try {
      showState(await ask("state"));
    } catch (error) {
      at("level").textContent = "no answer";
      at("level").className = "level ERROR";
      at("message").textContent = error instanceof TypeError ? "the command view has ended" : error.message;
    }
    await wait(STATE_MS);
  }
}

async function showPicture() {
  const kind = at("kind").value;
  const answer = await fetch(`picture?kind=${kind}&after=${shown}`);
  if (answer.status === 204 || kind !== at("kind").value) return;
  if (!answer.ok) throw new Error((await answer.json()).error);
  const image = at("picture"), old = image.src, address = URL.createObjectURL(await answer.blob());
  image.src = address;
  await image.decode().catch(() => {});
  if (old) URL.revokeObjectURL(old);
  image.alt = at("kind").selectedOptions[0].textContent;
  image.hidden = false;
  at("nothing").hidden = true;
  shown = Number(answer.headers.get("X-Picture"));
}

async function followPictures() {
  for (;;) {
    // A hidden page asks for nothing, so that the node makes no pictures for it.
    if (document.hidden) {
      await new Promise((done) => document.addEventListener("visibilitychange", done, {once: true}));
      continue;
    }
    try {
      await showPicture();
    } catch (error) {
      at("nothing").textContent = error instanceof TypeError ? "no picture" : error.message;
      at("nothing").hidden = false;
      await wait(RETRY_MS);
    }
  }
}

async function start() {
  const page = await ask("options");
  at("node").textContent = page.node;
  for (const [kind, text] of Object.entries(page.pictures)) at("kind").append(new Option(text, kind));
  at("parameters").append(...page.options.map(makeField));
  at("parameters").addEventListener("submit", (event) => event.preventDefault());
  showList("texts", page.options.map((option) => [option.name.replaceAll("_", " "), option.text]));
  for (const service of page.buttons) {
    const button = make("button", service);
    button.type = "button";
    button.addEventListener("click", async () => {
      try {
        say((await ask("call", {service})).message);
      } catch (error) {
        say(error.message, true);
      }
    });
    at("buttons").append(button);
  }
  followState();
  followPictures();
}

start().catch((error) => say(error.message, true));
