// The page of the command paint. A mask is one byte a region: 1 is observed. The server decides what a mask loses and
// what is filled; nothing is kept here but the strokes.
"use strict";

const MAX_UNDO = 200;
const MASKED = [10, 12, 16, 150], SEEN = [0, 0, 0, 0];
// Viridis, as in the report of calibrate.
const HEAT = [[68, 1, 84], [59, 82, 139], [33, 145, 140], [94, 201, 98], [253, 231, 37]];
const EDGE = "#ffb000", CURSOR = "#ffffff";

const by = (id) => document.getElementById(id);
const canvas = by("canvas"), context = canvas.getContext("2d");
const image = new Image();
let state, keep, heatLayer, maskLayer;
let past = [], future = [];
let pointer = null, cursor = null, isDone = false, wanted = 0;

async function ask(path, options) {
  let answer;
  try {
    answer = await fetch(path, options);
  } catch {
    throw new Error("The command has ended. What is painted here is not saved.");
  }
  const said = await answer.json().catch(() => ({error: `refused (status ${answer.status})`}));
  if (!answer.ok) throw new Error(said.error);
  return said;
}

function send(path) {
  return ask(path, {method: "POST", headers: {"Content-Type": "application/octet-stream"},
                    body: new TextEncoder().encode(keep.join(""))});
}

function say(text, kind = "") {
  by("message").textContent = text;
  by("message").className = kind;
}

const percent = (share) => `${(100 * share).toFixed(share > 0 && share < 0.1 ? 1 : 0)} %`;

// Drawing.

function layer() {
  return Object.assign(document.createElement("canvas"), {width: state.cols, height: state.rows});
}

function paintLayer(target, colorOf) {
  const pixels = new ImageData(state.cols, state.rows);
  for (let i = 0; i < keep.length; i++) pixels.data.set(colorOf(i), 4 * i);
  target.getContext("2d").putImageData(pixels, 0, 0);
}

function heatColor(i) {
  const value = state.heat[i] / 255 * (HEAT.length - 1), low = Math.min(Math.floor(value), HEAT.length - 2);
  const color = HEAT[low].map((from, k) => from + (value - low) * (HEAT[low + 1][k] - from));
  return [...color, state.heat[i] ? 150 : 0];
}

function draw() {
  const {width, height} = canvas;
  context.imageSmoothingEnabled = true;
  context.drawImage(image, 0, 0, width, height);
  context.imageSmoothingEnabled = false;
  if (by("heat").checked) context.drawImage(heatLayer, 0, 0, width, height);
  paintLayer(maskLayer, (i) => keep[i] ? SEEN : MASKED);
  context.drawImage(maskLayer, 0, 0, width, height);
  drawEdges();
  drawCursor();
}

function drawEdges() {
  const across = canvas.width / state.cols, down = canvas.height / state.rows;
  context.beginPath();
  for (let row = 0; row < state.rows; row++) {
    for (let col = 0; col < state.cols; col++) {
      const here = keep[row * state.cols + col];
      if (col + 1 < state.cols && here !== keep[row * state.cols + col + 1]) {
        context.moveTo((col + 1) * across, row * down);
        context.lineTo((col + 1) * across, (row + 1) * down);
      }
      if (row + 1 < state.rows && here !== keep[(row + 1) * state.cols + col]) {
        context.moveTo(col * across, (row + 1) * down);
        context.lineTo((col + 1) * across, (row + 1) * down);
      }
    }
  }
  context.strokeStyle = EDGE;
  context.lineWidth = 2;
  context.stroke();
}

function drawCursor() {
  if (!cursor || isDone) return;
  const across = canvas.width / state.cols, down = canvas.height / state.rows;
  const first = -Math.floor((size() - 1) / 2);
  context.strokeStyle = CURSOR;
  context.lineWidth = 2;
  context.strokeRect((cursor.col + first) * across, (cursor.row + first) * down, size() * across, size() * down);
}

// Painting.

const size = () => Number(by("size").value);
const tool = () => by("brush").checked ? 1 : 0;

function remember() {
  past.push(keep.slice());
  if (past.length > MAX_UNDO) past.shift();
  future = [];
}

function stamp(col, row, value) {
  const first = -Math.floor((size() - 1) / 2);
  for (let y = Math.max(0, row + first); y < Math.min(state.rows, row + first + size()); y++) {
    for (let x = Math.max(0, col + first); x < Math.min(state.cols, col + first + size()); x++) {
      keep[y * state.cols + x] = value;
    }
  }
}

function stroke(from, to, value) {
  const steps = Math.max(Math.abs(to.col - from.col), Math.abs(to.row - from.row), 1);
  for (let step = 0; step <= steps; step++) {
    stamp(Math.round(from.col + (to.col - from.col) * step / steps),
          Math.round(from.row + (to.row - from.row) * step / steps), value);
  }
}

function regionAt(event) {
  const box = canvas.getBoundingClientRect();
  const clip = (value, count) => Math.min(count - 1, Math.max(0, Math.floor(value * count)));
  return {col: clip((event.clientX - box.left) / box.width, state.cols),
          row: clip((event.clientY - box.top) / box.height, state.rows)};
}

function changed() {
  draw();
  by("undo").disabled = !past.length || isDone;
  by("redo").disabled = !future.length || isDone;
  if (!isDone) count();
}

async function count() {
  const number = ++wanted;
  try {
    const counts = await send("count");
    if (number !== wanted) return;
    const lost = counts.objects ? `, ${counts.lost} of ${counts.objects} objects lost (${percent(counts.lost / counts.objects)})` : "";
    by("counts").textContent = `${percent(counts.kept)} of the regions observed${lost}`;
    by("large").classList.toggle("hidden", !counts.is_large);
  } catch (error) {
    say(error.message, "wrong");
  }
}

function step(from, to) {
  if (!from.length || isDone) return;
  to.push(keep);
  keep = from.pop();
  changed();
}

function setAll(value) {
  remember();
  keep.fill(value);
  changed();
}

async function fill(isFirst) {
  try {
    const {keep: filled} = await ask(`fill?cover=${by("cover").value}`);
    if (!isFirst) remember();
    keep = Uint8Array.from(filled, Number);
    changed();
  } catch (error) {
    say(error.message, "wrong");
  }
}

async function save() {
  if (isDone) return;
  say("saving ...");
  try {
    const {file} = await send("save");
    isDone = true;
    say(`Saved: ${file}. The command has ended; you can close this page.`, "done");
    for (const one of by("tools").querySelectorAll("button, input")) one.disabled = true;
    changed();
    await ask("end", {method: "POST", headers: {"Content-Type": "application/json"}, body: "{}"});
  } catch (error) {
    if (!isDone) say(error.message, "wrong");
  }
}

// Events.

canvas.addEventListener("pointerdown", (event) => {
  if (isDone || pointer || event.button > 2 || event.button === 1) return;
  canvas.setPointerCapture(event.pointerId);
  remember();
  pointer = {id: event.pointerId, value: event.button === 2 ? 0 : tool()};
  cursor = regionAt(event);
  stroke(cursor, cursor, pointer.value);
  draw();
});

canvas.addEventListener("pointermove", (event) => {
  if (!state) return;
  const at = regionAt(event), before = cursor;
  cursor = at;
  if (pointer && pointer.id === event.pointerId && before) stroke(before, at, pointer.value);
  if (!before || before.col !== at.col || before.row !== at.row) draw();
});

for (const kind of ["pointerup", "pointercancel"]) {
  canvas.addEventListener(kind, (event) => {
    if (!pointer || pointer.id !== event.pointerId) return;
    pointer = null;
    changed();
  });
}

canvas.addEventListener("pointerleave", () => {
  if (!pointer && document.activeElement !== canvas) {
    cursor = null;
    draw();
  }
});

canvas.addEventListener("contextmenu", (event) => event.preventDefault());

const MOVES = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1]};

canvas.addEventListener("keydown", (event) => {
  if (isDone || !(event.key in MOVES || event.key === " ")) return;
  event.preventDefault();
  const at = cursor ?? {col: Math.floor(state.cols / 2), row: Math.floor(state.rows / 2)};
  const [right, down] = MOVES[event.key] ?? [0, 0];
  cursor = {col: Math.min(state.cols - 1, Math.max(0, at.col + right)),
            row: Math.min(state.rows - 1, Math.max(0, at.row + down))};
  if (event.key === " " || event.shiftKey) {
    remember();
    stroke(at, cursor, tool());
    changed();
  } else {
    draw();
  }
  const isSeen = keep[cursor.row * state.cols + cursor.col];
  by("where").textContent = `column ${cursor.col + 1}, row ${cursor.row + 1}: ${isSeen ? "observed" : "masked"}`;
});

document.addEventListener("keydown", (event) => {
  const key = event.key.toLowerCase();
  if (event.ctrlKey || event.metaKey) {
    const action = {z: () => event.shiftKey ? step(future, past) : step(past, future), y: () => step(future, past), s: save}[key];
    if (!action) return;
    event.preventDefault();
    action();
  } else if (!event.altKey && !isDone) {
    if (key === "b") by("brush").checked = true;
    if (key === "e") by("eraser").checked = true;
    if (key === "h") by("heat").checked = !by("heat").checked;
    if (key === "[" || key === "]") by("size").value = size() + (key === "]" ? 1 : -1);
    if ("beh[]".includes(key)) show();
  }
});

function show() {
  by("size-shown").textContent = size() === 1 ? "1 region" : `${size()} regions`;
  by("cover-shown").textContent = `${(100 * by("cover").value).toFixed(1)} %`;
  by("picture-shown").textContent = `${Number(by("picture").value) + 1} of ${state.pictures}`;
  draw();
}

async function loadPicture() {
  image.src = `picture?n=${by("picture").value}`;
  await image.decode();
  show();
}

for (const id of ["size", "cover", "heat"]) by(id).addEventListener("input", show);
by("picture").addEventListener("input", () => loadPicture().catch(() => say("The picture cannot be loaded.", "wrong")));
by("undo").addEventListener("click", () => step(past, future));
by("redo").addEventListener("click", () => step(future, past));
by("clear").addEventListener("click", () => setAll(0));
by("all").addEventListener("click", () => setAll(1));
by("fill").addEventListener("click", () => fill(false));
by("save").addEventListener("click", save);
by("tools").addEventListener("submit", (event) => event.preventDefault());

async function start() {
  state = await ask("state");
  keep = new Uint8Array(state.rows * state.cols);
  by("name").textContent = state.name;
  by("learned").textContent = state.objects
    ? `${state.objects} objects in ${state.frames} frames, from ${state.learned_from}. Yellow: most often.`
    : "No object was seen, so there is no heat.";
  by("cover").value = state.cover;
  by("picture").max = state.pictures - 1;
  by("picture-tools").classList.toggle("hidden", state.pictures < 2);
  for (const id of ["heat", "cover", "fill"]) by(id).disabled = !state.objects;
  heatLayer = layer();
  maskLayer = layer();
  paintLayer(heatLayer, heatColor);
  image.src = "picture?n=0";
  await image.decode();
  canvas.width = Math.max(image.naturalWidth, state.cols);
  canvas.height = Math.round(canvas.width * state.height / state.width);
  show();
  if (state.objects) await fill(true); else changed();
  document.body.dataset.ready = "yes";
}

start().catch((error) => say(error.message, "wrong"));
