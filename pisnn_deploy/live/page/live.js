"use strict";
const at = (name) => document.getElementById(name);
const COLOURS = ["#440154", "#482878", "#3e4989", "#31688e", "#26828e", "#1f9e89", "#35b779", "#6ece58", "#b5de2b", "#fde725"].map(
  (text) => [1, 3, 5].map((from) => parseInt(text.slice(from, from + 2), 16)));
let graph = null, scene = null, first = null, asked = "", columns = [], lastStep = -1, revision = -1, missing = 0;

function bytes(text) {
  const raw = atob(text), out = new Uint8Array(raw.length);
  for (let i = 0; i < raw.length; i++) out[i] = raw.charCodeAt(i);
  return out.buffer;
}
const floats = (text) => new Float32Array(bytes(text));
const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const short = (number) => (number === 0 ? "0" : Math.abs(number) >= 1e5 || Math.abs(number) < 1e-3 ? number.toExponential(3) : String(Number(number.toPrecision(5))));
const grouped = (text) => text.replace(/\B(?=(\d{3})+(?!\d))/g, ",");
const signed = (text) => (text.startsWith("-") || text === "0" ? "" : "+") + grouped(text);

function make(tag, text = "", kind = "") {
  const element = document.createElement(tag);
  element.textContent = text;
  if (kind) element.className = kind;
  return element;
}
function row(tag, texts, kind = "") {
  const line = make("tr", "", kind);
  texts.forEach((text, index) => {
    const cell = make(index === 0 || tag === "th" ? "th" : "td", text);
    if (cell.tagName === "TH") cell.scope = tag === "th" ? "col" : "row";
    line.append(cell);
  });
  return line;
}
function table(name, head, lines) {
  const top = make("thead"), body = make("tbody");
  top.append(row("th", head));
  body.append(...lines);
  at(name).replaceChildren(...(lines.length ? [top, body] : []));
}
function colour(part) {
  const place = Math.min(Math.max(part, 0), 1) * (COLOURS.length - 1), index = Math.min(Math.floor(place), COLOURS.length - 2);
  return COLOURS[index].map((low, i) => Math.round(low + (COLOURS[index + 1][i] - low) * (place - index)));
}
function canvas(name) {
  const element = at(name), ratio = window.devicePixelRatio || 1;
  const width = element.clientWidth, height = element.clientHeight;
  if (element.width !== Math.round(width * ratio) || element.height !== Math.round(height * ratio)) {
    element.width = Math.round(width * ratio);
    element.height = Math.round(height * ratio);
  }
  const pen = element.getContext("2d");
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.clearRect(0, 0, width, height);
  pen.font = "12px system-ui, sans-serif";
  return { pen, width, height };
}
function ticks(low, high, count) {
  const raw = (high - low) / count, power = 10 ** Math.floor(Math.log10(raw));
  const gap = [1, 2, 5, 10].map((n) => n * power).find((n) => n >= raw), out = [];
  for (let n = Math.ceil(low / gap); n * gap <= high + gap * 1e-9; n++) out.push(n * gap);
  return out;
}
/* Axes of a picture; returns the functions from numbers to pixels. */
function axes(drawn, [x0, x1], [y0, y1], label) {
  const { pen, width, height } = drawn;
  if (!(y1 - y0 > 1e-6 * Math.max(Math.abs(y0), Math.abs(y1)))) { const pad = Math.abs(y0) / 2 || 1; y0 -= pad; y1 += pad; }
  else { const pad = (y1 - y0) * 0.05; y0 -= pad; y1 += pad; }
  if (!(x1 > x0)) x1 = x0 + 1;
  const box = { left: 64, right: width - 12, top: 8, bottom: height - 36 };
  const x = (value) => box.left + ((value - x0) / (x1 - x0)) * (box.right - box.left);
  const y = (value) => box.bottom - ((value - y0) / (y1 - y0)) * (box.bottom - box.top);
  pen.strokeStyle = style("--line");
  pen.fillStyle = style("--muted");
  pen.lineWidth = 1;
  pen.textAlign = "right"; pen.textBaseline = "middle";
  for (const tick of ticks(y0, y1, Math.max(2, Math.floor((box.bottom - box.top) / 45)))) {
    pen.beginPath(); pen.moveTo(box.left, y(tick)); pen.lineTo(box.right, y(tick)); pen.stroke();
    pen.fillText(short(Math.abs(tick) < (y1 - y0) * 1e-9 ? 0 : tick), box.left - 6, y(tick));
  }
  pen.textAlign = "center"; pen.textBaseline = "top";
  for (const tick of ticks(x0, x1, Math.max(2, Math.floor((box.right - box.left) / 110)))) pen.fillText(short(Math.abs(tick) < (x1 - x0) * 1e-9 ? 0 : tick), x(tick), box.bottom + 4);
  pen.fillText(label, (box.left + box.right) / 2, box.bottom + 19);
  return { x, y, box };
}
function line(pen, points, ink, width = 2, dashes = []) {
  pen.strokeStyle = ink; pen.lineWidth = width; pen.setLineDash(dashes);
  pen.beginPath();
  points.forEach(([x, y], index) => (index ? pen.lineTo(x, y) : pen.moveTo(x, y)));
  pen.stroke(); pen.setLineDash([]);
}

let nearest = null;
function drawField() {
  if (graph.kind !== "line") {
    const [left, right, bottom, top] = graph.extent, box = at("picture");
    box.style.height = `${Math.round(Math.min(Math.max((box.clientWidth * (top - bottom)) / (right - left || 1), 80), 460))}px`;
  }
  const drawn = canvas("picture"), { pen } = drawn, values = floats(scene.values), [low, high] = scene.limits[scene.field];
  const unit = graph.fields.find((field) => field.name === scene.field).unit, [x0, x1, y0, y1] = graph.extent;
  const range = high > low ? high - low : 1;
  at("scale").hidden = graph.kind === "line";
  if (graph.kind === "line") {
    const { x, y } = axes(drawn, [x0, x1], [low, high], `${graph.axes[0]}` + (unit ? `, ${scene.field} in ${unit}` : ""));
    const centre = (index) => x0 + ((index + 0.5) * (x1 - x0)) / values.length;
    const path = (numbers) => Array.from(numbers, (value, index) => [x(centre(index)), y(value)]);
    if (first && first.field === scene.field) line(pen, path(first.values), style("--muted"), 1.3, [5, 4]);
    line(pen, path(values), style("--series"), 2.2);
    nearest = (px) => Math.min(values.length - 1, Math.max(0, Math.round(((px - x(x0)) / (x(x1) - x(x0))) * values.length - 0.5)));
    return;
  }
  drawScale();
  at("low").textContent = short(low);
  at("high").textContent = short(high) + (unit ? ` ${unit}` : "");
  const wide = drawn.width / (x1 - x0 || 1), tall = drawn.height / (y1 - y0 || 1), zoom = Math.min(wide, tall);
  const left = (drawn.width - zoom * (x1 - x0)) / 2, top = (drawn.height - zoom * (y1 - y0)) / 2;
  const place = (x, y) => [left + (x - x0) * zoom, top + (y1 - y) * zoom];
  if (graph.kind === "plane") {
    const [across, up] = graph.shape, image = new ImageData(across, up);
    for (let i = 0; i < across; i++) for (let j = 0; j < up; j++) {
      const [r, g, b] = colour((values[i * up + j] - low) / range), to = 4 * ((up - 1 - j) * across + i);
      image.data[to] = r; image.data[to + 1] = g; image.data[to + 2] = b; image.data[to + 3] = 255;
    }
    const small = document.createElement("canvas");
    small.width = across; small.height = up;
    small.getContext("2d").putImageData(image, 0, 0);
    pen.imageSmoothingEnabled = false;
    pen.drawImage(small, left, top, zoom * (x1 - x0), zoom * (y1 - y0));
    nearest = (px, py) => {
      const i = Math.floor(((px - left) / (zoom * (x1 - x0))) * across), j = up - 1 - Math.floor(((py - top) / (zoom * (y1 - y0))) * up);
      return i >= 0 && i < across && j >= 0 && j < up ? i * up + j : null;
    };
    return;
  }
  const corners = graph.corners, each = corners.length / values.length;
  for (let cell = 0; cell < values.length; cell++) {
    pen.fillStyle = pen.strokeStyle = `rgb(${colour((values[cell] - low) / range)})`;
    pen.beginPath();
    if (each === 2) { const [px, py] = place(corners[2 * cell], corners[2 * cell + 1]); pen.arc(px, py, 3, 0, 7); }
    else for (let k = 0; k < each; k += 2) { const [px, py] = place(corners[each * cell + k], corners[each * cell + k + 1]); if (k) pen.lineTo(px, py); else pen.moveTo(px, py); }
    pen.closePath(); pen.fill(); if (each > 2) { pen.lineWidth = 0.6; pen.stroke(); }
  }
  nearest = (px, py) => {
    let best = null, least = 400;
    for (let cell = 0; cell < values.length; cell++) {
      let cx = 0, cy = 0;
      for (let k = 0; k < each; k += 2) { cx += (corners[each * cell + k] * 2) / each; cy += (corners[each * cell + k + 1] * 2) / each; }
      const [qx, qy] = place(cx, cy), away = (qx - px) ** 2 + (qy - py) ** 2;
      if (away < least) { least = away; best = cell; }
    }
    return best;
  };
}
function drawScale() {
  const { pen, width, height } = canvas("colours");
  for (let x = 0; x < width; x++) { pen.fillStyle = `rgb(${colour(x / width)})`; pen.fillRect(x, 0, 1.5, height); }
}
function drawBalance() {
  const points = scene.history, drawn = canvas("balance-chart");
  const numbers = points.flatMap((point) => point.slice(1, 4));
  const { x, y } = axes(drawn, [0, Math.max(1, scene.step)], [Math.min(0, ...numbers), Math.max(0, ...numbers)], "PDE step");
  ["--series", "--series-2", "--series-3"].forEach((ink, index) =>
    line(drawn.pen, points.map((point) => [x(point[0]), y(point[index + 1])]), style(ink), 2, index === 2 ? [5, 4] : []));
}
function drawRaster() {
  const { pen, width, height } = canvas("raster"), rows = graph.raster, gap = 2, most = Math.floor(width / gap);
  const inks = { 1: style("--series"), "-1": style("--series-2") }, shown = columns.slice(-most), tall = height / rows;
  shown.forEach((signs, index) => {
    const x = width - (shown.length - index) * gap;
    for (let i = 0; i < rows; i++) if (signs[i]) { pen.fillStyle = inks[signs[i]]; pen.fillRect(x, i * tall, gap, Math.max(tall, 0.6)); }
  });
}
const bits = (low, high) => { const size = (n) => { let b = 1, m = n < 0 ? -n - 1 : n; for (; m >= 1; m /= 2, m = Math.floor(m)) b++; return b; }; return Math.max(size(low), size(high)); };
function drawWidths() {
  const reached = new Map(scene.widths.map(([population, quantity, low, high]) => [`${population} ${quantity}`, bits(low, high)]));
  const most = Math.max(...graph.bounds.map((bound) => bound[2]));
  const mark = (kind, width, top, tall) => {
    const box = document.createElementNS("http://www.w3.org/2000/svg", "rect");
    for (const [name, value] of Object.entries({ class: kind, x: 0, y: top, width, height: tall, rx: 1 })) box.setAttribute(name, value);
    return box;
  };
  const seen = [], hidden = [];
  for (const [population, quantity, declared, low, high] of graph.bounds) {
    const proved = bits(low, high), now = reached.get(`${population} ${quantity}`);
    const picture = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    picture.setAttribute("viewBox", `0 0 ${most} 16`); picture.setAttribute("preserveAspectRatio", "none"); picture.setAttribute("aria-hidden", "true");
    const frame = mark("declared", declared, 1, 14);
    frame.setAttribute("vector-effect", "non-scaling-stroke");
    picture.append(mark("proved", proved, 3, 10), ...(now ? [mark("reached", now, 6, 4)] : []), frame);
    const line = row("td", [`${population} ${quantity}`, "", now ? `${now} of ${declared}` : `${declared}`]), holder = make("span", "", "width");
    holder.append(picture);
    line.children[1].append(holder);
    (now ? seen : hidden).push(line);
  }
  table("widths", ["word", "", "bits"], seen);
  table("unseen-widths", ["word", "", "bits"], hidden);
  at("unseen").hidden = !hidden.length;
}
function drawTables() {
  const several = scene.balances.length > 1;
  table("balance", ["quanta", "at the start", "now"], scene.balances.flatMap((balance) => {
    const name = several ? ` of ${balance.fields.join(" and ")}` : "";
    const sum = String(BigInt(balance.final) + BigInt(balance.ledger));
    return [row("td", [`cells${name}`, grouped(balance.initial), grouped(balance.final)]), row("td", [`ledgers${name}`, "0", grouped(balance.ledger)]),
      row("td", [`sum${name}`, grouped(balance.initial), grouped(sum)], "sum"), row("td", [`drift${name}`, "0", signed(balance.drift)], balance.drift === "0" ? "sum" : "sum wrong")];
  }));
  const manyFields = graph.fields.length > 1;
  table("ledgers", ["ledger", "taken, quanta", "amount"], scene.ledgers.map((each) => row("td", [manyFields ? `${each.field}, ${each.name}` : each.name, signed(each.quanta), short(each.amount)])));
  table("rates", ["population", "spikes", "per step"], Object.entries(scene.events).map(([name, count]) => row("td", [name, grouped(String(count)), scene.rates[name] === undefined ? "" : short(scene.rates[name])])));
}
function drawFaults() {
  at("faults").replaceChildren(...scene.faults.map((fault) => {
    const item = make("li"), waits = Number(fault.spec.split("@")[1].split(".")[0]) > scene.step && !fault.detected;
    item.append(make("code", fault.spec), " ");
    if (fault.detected) item.append(make("b", `caught: ${CAUGHT[fault.kind] || `${fault.kind} invariant`}, ${fault.place}, PDE step ${fault.step}` + (fault.healed ? "; repaired" : "")));
    else if (waits) item.append(make("b", "strikes in the next PDE step", "waiting"));
    else item.append(make("b", "no violation so far; it may have hit nothing", "waiting"));
    return item;
  }));
}
/* The form offers channels that send, until it is edited. */
let offered = "";
function offer() {
  if (!at("kind").options.length) at("kind").append(...scene.offered.map((fault) => make("option", fault.name)));
  if (at("spec").value !== offered || document.activeElement === at("spec") || (scene.runs && offered)) return;
  at("spec").value = offered = scene.offered[at("kind").selectedIndex].spec;
}
const CAUGHT = { range: "operating range left", overflow: "width exceeded" };
function draw() {
  if (!scene || !graph) return;
  at("run").textContent = scene.runs ? "Pause" : "Run";
  at("run").disabled = at("step").disabled = at("steps").disabled = scene.has_ended;
  at("now").textContent = `PDE step ${grouped(String(scene.step))}, time ${short(scene.time)}`;
  at("verdict").className = `verdict ${scene.verdict === "conserved" ? "good" : "bad"}`;
  at("word").textContent = scene.verdict;
  const healed = scene.faults.filter((fault) => fault.healed).length;
  at("why").textContent = scene.failure || (healed ? `Every PDE step audited; faults caught and repaired: ${healed}.` : "Every PDE step audited.");
  drawField(); drawBalance(); drawRaster(); drawWidths(); drawTables(); drawFaults(); offer();
}
function say(text, wrong = false) { at("said").textContent = text; at("said").classList.toggle("wrong", wrong); }

async function look() {
  const answer = await fetch(`state?field=${encodeURIComponent(asked)}`, { cache: "no-store" });
  if (!answer.ok) throw new Error(answer.statusText);
  const next = await answer.json();
  if (next.revision < revision && next.step >= lastStep) return;
  const key = `${next.revision} ${next.field}`;
  if (scene && key === `${revision} ${scene.field}` && scene.runs === next.runs) return;
  if (next.step < lastStep) columns = [];
  if (next.step !== lastStep && next.step > 0) columns.push(new Int8Array(bytes(next.spikes)));
  if (columns.length > 2000) columns = columns.slice(-1000);
  if (!first || first.field !== next.field) { if (next.step === 0) first = { field: next.field, values: floats(next.values) }; }
  if (String(next.speed) !== at("speed").value && document.activeElement !== at("speed")) showSpeed(next.speed);
  scene = next; revision = next.revision; lastStep = next.step;
  draw();
}
function showSpeed(speed) {
  if (![...at("speed").options].some((option) => Number(option.value) === speed)) {
    const option = make("option", `${grouped(String(speed))} steps/s`);
    option.value = String(speed);
    at("speed").prepend(option);
  }
  at("speed").value = String(speed);
}
async function watch() {
  try {
    await look();
    missing = 0;
    at("lost").hidden = true;
  } catch (error) {
    missing += 1;
    at("lost").hidden = missing < 3;
  }
  setTimeout(watch, document.hidden ? 1000 : missing ? 500 : scene && scene.runs ? 80 : 250);
}
async function ask(request) {
  say("");
  try {
    const answer = await fetch("do", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(request) });
    const said = await answer.json();
    say(said.error || said.said || "", Boolean(said.error));
    await look();
  } catch (error) {
    say("the server does not answer", true);
  }
}
const toggle = () => ask({ do: scene && scene.runs ? "pause" : "run" });
const reset = () => ask({ do: "reset" });
at("run").onclick = toggle;
at("step").onclick = () => ask({ do: "step" });
at("steps").onclick = () => ask({ do: "step", steps: 100 });
at("reset").onclick = reset;
at("speed").onchange = () => ask({ do: "speed", speed: Number(at("speed").value) });
at("field").onchange = () => { asked = at("field").value; first = null; look(); };
at("kind").onchange = () => { at("spec").value = offered = scene.offered[at("kind").selectedIndex].spec; };
at("fault-form").onsubmit = (event) => { event.preventDefault(); ask({ do: "fault", fault: at("spec").value, recover: at("recover").checked }); };
at("picture").onpointermove = (event) => {
  if (!nearest || !scene) return;
  const box = at("picture").getBoundingClientRect(), cell = nearest(event.clientX - box.left, event.clientY - box.top);
  if (cell !== null) at("point").textContent = `Cell ${graph.cells_drawn[cell]}: ${short(floats(scene.values)[cell])}`;
};
document.onkeydown = (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName)) return;
  const onButton = event.target.tagName === "BUTTON";
  if (event.key === " " && !onButton) { event.preventDefault(); if (!event.repeat && !at("run").disabled) toggle(); }
  else if (event.key === "ArrowRight" && !at("step").disabled) { event.preventDefault(); ask({ do: "step", steps: event.shiftKey ? 100 : 1 }); }
  else if (event.key === "r" && !event.repeat) reset();
  else if (event.key === "f") { event.preventDefault(); at("spec").focus(); }
};
window.onresize = draw;
matchMedia("(prefers-color-scheme: dark)").onchange = draw;

async function begin() {
  graph = await (await fetch("graph", { cache: "no-store" })).json();
  graph.corners = graph.vertices === null ? null : floats(graph.vertices);
  graph.cells_drawn = new Int32Array(bytes(graph.indices));
  document.title = `${graph.model}, live`;
  at("model").textContent = `${graph.model}, live`;
  at("about").textContent = `${grouped(String(graph.cells))} cells, ${grouped(String(graph.neurons))} neurons` + (graph.profile ? `, compiled for ${graph.profile}` : "") + `; time step ${short(graph.time_step)}.`;
  at("notes").textContent = graph.notes.join(" ");
  const total = graph.channels.reduce((sum, each) => sum + each.count, 0);
  at("shared").textContent = total > graph.raster ? `; ${grouped(String(total))} channels share ${graph.raster} rows` : "";
  at("field").append(...graph.fields.map((field) => { const option = make("option", field.name); option.value = field.name; return option; }));
  at("choice").hidden = graph.fields.length < 2;
  document.body.classList.toggle("map", graph.kind !== "line");
  watch();
}
begin().catch(() => { at("lost").hidden = false; });
