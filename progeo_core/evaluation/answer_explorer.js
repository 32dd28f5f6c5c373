"use strict";
/* Two canvases, a plan and a timeline, of the same answers; everything else is plain HTML. */

const by = (id) => document.getElementById(id);
const data = JSON.parse(by("answers").textContent);
const count = data.x.length;
const RIGHT = 0, WRONG = 1, WITHHELD = 2;
const KINDS = [["accepted, right", "--blue"], ["accepted, wrong", "--vermilion"], ["not accepted", "--dot"]];

/* What is shown: which run, its answers or its most similar places, from which confidence on. */
let run = data.runs[data.runs.length - 1], level = "answer", threshold = null;
let hovered = -1, chosen = -1;

const points = () => run[level];
const isAccepted = (i) => (threshold === null ? run.accepted[i] : run.confidence[i] >= threshold);
const isRight = (i) => points().error[i] !== null && points().error[i] <= data.radius;
const kindOf = (i) => (!isAccepted(i) ? WITHHELD : isRight(i) ? RIGHT : WRONG);
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function metres(value) {
  if (value === null) return "unknown";
  if (value >= 10000) return `${(value / 1000).toFixed(0)} km`;
  if (value >= 1000) return `${(value / 1000).toFixed(1)} km`;
  return value >= 100 ? `${value.toFixed(0)} m` : `${value.toFixed(2)} m`;
}

const percent = (part, whole) => (whole ? `${((100 * part) / whole).toFixed(1)} %` : "–");
const when = (i) => (data.timed ? `${data.time[i].toFixed(1)} s` : `image ${data.time[i]}`);

function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

/* ---- a plot that zooms and pans ---- */

class Plot {
  constructor(canvas, { x, y, isPlan, below, label }) {
    Object.assign(this, { canvas, x, y, isPlan, below, label, width: 0, height: 0, planned: false });
    this.pen = canvas.getContext("2d");
    canvas.addEventListener("pointermove", (event) => this.onMove(event));
    canvas.addEventListener("pointerleave", () => hover(-1));
    canvas.addEventListener("pointerdown", (event) => this.onDown(event));
    canvas.addEventListener("pointerup", (event) => this.onUp(event));
    canvas.addEventListener("dblclick", (event) => this.zoom(2.5, ...this.pixel(event)));
    /* A wheel scrolls the page; with Ctrl, or pinched, it zooms. */
    canvas.addEventListener("wheel", (event) => {
      if (!event.ctrlKey) return;
      event.preventDefault();
      this.zoom(1.0015 ** -event.deltaY, ...this.pixel(event));
    }, { passive: false });
    new ResizeObserver(() => this.resize()).observe(canvas);
    this.resize();
  }

  pixel(event) {
    const box = this.canvas.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  }

  resize() {
    const box = this.canvas.getBoundingClientRect(), ratio = window.devicePixelRatio || 1;
    if (!box.width) return;
    [this.width, this.height] = [box.width, box.height];
    this.canvas.width = Math.round(box.width * ratio);
    this.canvas.height = Math.round(box.height * ratio);
    this.pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    this.fit();
  }

  fit() {
    const [west, east, south, north] = this.extent();
    this.middle = [(west + east) / 2, (south + north) / 2];
    this.scale = [(this.width - 92) / (east - west || 1), (this.height - 64) / (north - south || 1)];
    if (this.isPlan) this.scale.fill(Math.min(...this.scale, 400));
    this.draw();
  }

  extent() {
    const box = [Infinity, -Infinity, Infinity, -Infinity];
    const add = (x, y) => {
      if (x === null || y === null) return;
      box[0] = Math.min(box[0], x); box[1] = Math.max(box[1], x);
      box[2] = Math.min(box[2], y); box[3] = Math.max(box[3], y);
    };
    for (let i = 0; i < count; i++) add(this.x(i), this.y(i));
    if (this.isPlan) {
      for (let i = 0; i < count; i++) add(data.x[i], data.y[i]);
      data.places.x.forEach((x, i) => add(x, data.places.y[i]));
    } else { box[2] = 0; box[3] = Math.max(box[3], 1.15); }
    return box;
  }

  toX(x) { return (x - this.middle[0]) * this.scale[0] + (this.width + 40) / 2; }
  toY(y) { return (this.height - 24) / 2 - (y - this.middle[1]) * this.scale[1]; }

  zoom(factor, x = this.width / 2, y = this.height / 2) {
    const at = [(x - (this.width + 40) / 2) / this.scale[0], ((this.height - 24) / 2 - y) / this.scale[1]];
    at.forEach((one, axis) => {
      if (!this.isPlan && axis === 1) return;
      this.middle[axis] += one * (1 - 1 / factor);
      this.scale[axis] *= factor;
    });
    this.draw();
  }

  nearest(x, y, reach) {
    let best = -1, least = reach * reach;
    for (let i = 0; i < count; i++) {
      if (this.x(i) === null || this.y(i) === null) continue;
      const away = (this.toX(this.x(i)) - x) ** 2 + (this.toY(this.y(i)) - y) ** 2;
      if (away <= least) { best = i; least = away; }
    }
    return best;
  }

  onMove(event) {
    const [x, y] = this.pixel(event);
    if (this.held) {
      const moved = [x - this.held[0], y - this.held[1]];
      if (Math.hypot(...moved) > 4) this.moved = true;
      if (this.moved) {
        this.middle[0] -= moved[0] / this.scale[0];
        if (this.isPlan) this.middle[1] += moved[1] / this.scale[1];
        this.held = [x, y];
        this.draw();
      }
      return;
    }
    hover(this.nearest(x, y, 14));
    placeTip(event);
  }

  onDown(event) {
    this.held = this.pixel(event);
    this.moved = false;
    if (event.pointerType !== "touch") this.canvas.setPointerCapture(event.pointerId);
  }

  onUp(event) {
    if (this.held && !this.moved) choose(this.nearest(...this.pixel(event), event.pointerType === "touch" ? 26 : 14));
    this.held = null;
  }

  draw() {
    if (this.planned) return;
    this.planned = true;
    requestAnimationFrame(() => { this.planned = false; if (this.width) this.paint(); });
  }

  paint() {
    const { pen } = this;
    pen.clearRect(0, 0, this.width, this.height);
    pen.font = "11.5px system-ui, sans-serif";
    this.paintAxes();
    pen.save();
    pen.beginPath();
    pen.rect(44, 0, this.width - 44, this.height - 24);
    pen.clip();
    this.below(this);
    for (const kind of [WITHHELD, RIGHT, WRONG]) this.paintKind(kind);
    for (const i of [hovered, chosen]) if (i >= 0 && this.y(i) !== null) this.ring(i);
    pen.restore();
  }

  paintAxes() {
    const { pen } = this;
    pen.strokeStyle = colour("--line");
    pen.fillStyle = colour("--quiet");
    pen.lineWidth = 1;
    pen.textBaseline = "middle";
    for (const [value, text] of this.ticks(0)) {
      const x = Math.round(this.toX(value)) + 0.5;
      if (x < 44 || x > this.width - 8) continue;
      this.line(x, 0, x, this.height - 24);
      pen.textAlign = "center";
      pen.fillText(text, x, this.height - 12);
    }
    for (const [value, text] of this.ticks(1)) {
      const y = Math.round(this.toY(value)) + 0.5;
      if (y < 8 || y > this.height - 24) continue;
      this.line(44, y, this.width, y);
      pen.textAlign = "right";
      pen.fillText(text, 40, y);
    }
    pen.textAlign = "right";
    pen.fillText(this.label, this.width - 6, this.height - 34);
  }

  ticks(axis) {
    if (!this.isPlan && axis === 1) return errorTicks();
    const span = (axis ? this.height : this.width) / this.scale[axis];
    const step = nice(span / Math.max(2, (axis ? this.height : this.width) / 90));
    const first = Math.ceil((this.middle[axis] - span / 2) / step);
    const all = [];
    for (let n = first; n * step <= this.middle[axis] + span / 2; n++)
      all.push([n * step, this.isPlan && step >= 1000 ? `${+(n * step / 1000).toFixed(3)} km` : `${+(n * step).toPrecision(6)}`]);
    return all;
  }

  line(x0, y0, x1, y1) {
    this.pen.beginPath();
    this.pen.moveTo(x0, y0);
    this.pen.lineTo(x1, y1);
    this.pen.stroke();
  }

  paintKind(kind) {
    const { pen } = this, r = count > 3000 ? 2.2 : count > 600 ? 3 : 4.2;
    pen.beginPath();
    for (let i = 0; i < count; i++) {
      if (kindOf(i) !== kind || this.x(i) === null || this.y(i) === null) continue;
      const x = this.toX(this.x(i)), y = this.toY(this.y(i));
      /* Wrong ones have another shape, too. */
      if (kind === WRONG) pen.rect(x - r, y - r, 2 * r, 2 * r);
      else { pen.moveTo(x + r, y); pen.arc(x, y, r, 0, 7); }
    }
    pen.strokeStyle = pen.fillStyle = colour(KINDS[kind][1]);
    pen.lineWidth = 1.2;
    if (kind === WITHHELD) pen.stroke(); else pen.fill();
  }

  ring(i) {
    this.pen.strokeStyle = colour("--ink");
    this.pen.lineWidth = 2;
    this.pen.beginPath();
    this.pen.arc(this.toX(this.x(i)), this.toY(this.y(i)), 8, 0, 7);
    this.pen.stroke();
  }
}

function nice(wanted) {
  const ten = 10 ** Math.floor(Math.log10(wanted));
  return ten * ([1, 2, 5].find((one) => one * ten >= wanted) || 10);
}

/* Errors: linear up to the radius, logarithmic beyond. */
const errorScale = (error) =>
  error === null ? null : error <= data.radius ? error / data.radius : 1 + Math.log10(error / data.radius);

function errorTicks() {
  const short = (m) => (m >= 1000 ? `${+(m / 1000).toPrecision(3)} km` : `${+m.toPrecision(3)} m`);
  const all = [0, data.radius / 2, data.radius];
  for (let factor = 10; factor < 1e8; factor *= 10) all.push(data.radius * factor);
  return all.map((error) => [errorScale(error), short(error)]);
}

/* ---- plan and timeline ---- */

function belowPlan(plot) {
  const { pen } = plot;
  pen.fillStyle = colour("--faint");
  data.places.x.forEach((x, i) => pen.fillRect(plot.toX(x) - 2, plot.toY(data.places.y[i]) - 2, 4, 4));
  pen.strokeStyle = colour("--ink");
  pen.lineWidth = 1.2;
  pen.beginPath();
  data.x.forEach((x, i) => {
    const gap = i && Math.hypot(x - data.x[i - 1], data.y[i] - data.y[i - 1]) > 20 * Math.max(usual, 0.01);
    pen[i && !gap ? "lineTo" : "moveTo"](plot.toX(x), plot.toY(data.y[i]));
  });
  pen.stroke();
  pen.strokeStyle = colour("--vermilion");
  pen.globalAlpha = 0.5;
  for (let i = 0; i < count; i++) if (kindOf(i) === WRONG || ((i === hovered || i === chosen) && !isRight(i))) link(plot, i);
  pen.globalAlpha = 1;
}

function link(plot, i) {
  if (points().x[i] !== null) plot.line(plot.toX(data.x[i]), plot.toY(data.y[i]), plot.toX(points().x[i]), plot.toY(points().y[i]));
}

function belowTimeline(plot) {
  plot.pen.setLineDash([5, 4]);
  plot.pen.strokeStyle = colour("--ink");
  plot.line(44, plot.toY(1), plot.width, plot.toY(1));
  plot.pen.setLineDash([]);
}

const steps = data.x.slice(1).map((x, i) => Math.hypot(x - data.x[i], data.y[i + 1] - data.y[i])).sort((a, b) => a - b);
const usual = steps[Math.floor(steps.length / 2)] || 0;

/* A corridor is a line from above; a plan is as tall as what it shows. */
function planHeight() {
  const extent = Plot.prototype.extent.call({ isPlan: true, x: (i) => points().x[i], y: (i) => points().y[i] });
  const aspect = (extent[3] - extent[2]) / (extent[1] - extent[0] || 1);
  return Math.round(Math.min(520, Math.max(230, (by("plan").clientWidth - 92) * aspect + 64)));
}

by("plan").style.height = `${planHeight()}px`;
const plan = new Plot(by("plan"), { isPlan: true, below: belowPlan, label: "m east, m north",
  x: (i) => points().x[i], y: (i) => points().y[i] });
const timeline = new Plot(by("timeline"), { isPlan: false, below: belowTimeline, label: data.timed ? "s" : "image",
  x: (i) => data.time[i], y: (i) => errorScale(points().error[i]) });

/* ---- one answer ---- */

function source(number) {
  return `data:image/webp;base64,${data.pictures[number]}`;
}

function views(i) {
  return [[data.picture[i], "query", data.image[i]], [run.picture[i], "map", run.match[i]]].map(([number, side, name]) => {
    const label = `${side}: ${name.split("/").pop() || "none"}`;
    const picture = number >= 0 ? element("img", { src: source(number), alt: label }) :
      element("div", { className: "none", textContent: "no picture" });
    return element("figure", {}, picture, element("figcaption", { textContent: label, title: name }));
  });
}

function facts(i) {
  const degrees = run.error_deg[i];
  const rows = [
    ["decision", `${KINDS[kindOf(i)][0]} (${run.state[i]})`],
    ["error", metres(points().error[i]) + (degrees === null ? "" : `, ${degrees.toFixed(1)}°`)],
    ["confidence", run.confidence[i].toFixed(3)],
    ["reason", run.reason[i]],
    ["similarity", run.similarity[i] === null ? "no match" : run.similarity[i].toFixed(3)],
    ["pose from", run.landmarks[i] === null ? "similar places" : `${run.landmarks[i]} inliers among the landmarks`],
    ["when", when(i)],
  ];
  if (!run.on_map[i]) rows.push(["map", `no place within ${metres(data.radius)} of the truth`]);
  return rows;
}

function hover(i) {
  if (i === hovered) return;
  hovered = i;
  const tip = by("tip");
  tip.hidden = i < 0;
  if (i >= 0) {
    tip.replaceChildren(element("div", { className: "views" }, ...views(i)),
      element("b", { textContent: `${metres(points().error[i])} off, ${KINDS[kindOf(i)][0]}` }),
      element("span", { textContent: `confidence ${run.confidence[i].toFixed(2)} · ${when(i)}` }),
      element("span", { textContent: run.reason[i] }));
  }
  plan.draw();
  timeline.draw();
}

function placeTip(event) {
  const tip = by("tip");
  if (tip.hidden) return;
  const room = document.documentElement.clientWidth - tip.offsetWidth - 8;
  tip.style.left = `${Math.max(8, Math.min(event.clientX + 16, room))}px`;
  const lower = event.clientY + 16 + tip.offsetHeight < window.innerHeight;
  tip.style.top = `${lower ? event.clientY + 16 : Math.max(8, event.clientY - 16 - tip.offsetHeight)}px`;
}

function choose(i) {
  chosen = i;
  by("answer").hidden = i < 0;
  if (i >= 0) {
    by("answer_name").textContent = data.image[i].split("/").pop();
    by("answer_views").replaceChildren(...views(i));
    by("answer_facts").replaceChildren(...facts(i).map(([name, text]) =>
      element("tr", {}, element("th", { textContent: name }), element("td", { textContent: text }))));
  }
  plan.draw();
  timeline.draw();
}

function step(by_one, is_wanted = () => true) {
  for (let n = 1; n <= count; n++) {
    const i = (((chosen + by_one * n) % count) + count) % count;
    if (is_wanted(i)) return choose(i);
  }
}

/* ---- what is shown ---- */

function show() {
  let tally = [0, 0, 0], right = 0, possible = 0;
  for (let i = 0; i < count; i++) {
    tally[kindOf(i)]++;
    if (isRight(i)) right++;
    if (run.on_map[i]) possible++;
  }
  const accepted = tally[RIGHT] + tally[WRONG];
  by("threshold_value").textContent = threshold === null ? "as decided" : threshold.toFixed(2);
  by("outcome").textContent = `${accepted} of ${count} accepted, ${tally[WRONG]} of them wrong · ` +
    `precision ${percent(tally[RIGHT], accepted)} · recall ${percent(tally[RIGHT], possible)} · ` +
    `right if all were accepted: ${percent(right, count)}`;
  by("legend").replaceChildren(...KINDS.map(([name, tone], kind) => {
    const mark = element("i", { className: `kind${kind}` });
    return element("span", {}, mark, `${name} (${tally[kind]})`);
  }));
  for (const button of document.querySelectorAll("[data-run]"))
    button.setAttribute("aria-pressed", String(button.dataset.run === run.name));
  for (const button of document.querySelectorAll("[data-level]"))
    button.setAttribute("aria-pressed", String(button.dataset.level === level));
  plan.draw();
  timeline.draw();
  if (chosen >= 0) choose(chosen);
}

function refit() {
  show();
  plan.fit();
  timeline.fit();
}

function addSwitch(id, key, entries, pick) {
  by(id).replaceChildren(...entries.map(([value, text]) => {
    const button = element("button", { textContent: text, type: "button" });
    button.dataset[key] = value;
    button.onclick = () => { pick(value); refit(); };
    return button;
  }));
}

addSwitch("runs", "run", data.runs.map((one) => [one.name, one.name]),
  (name) => { run = data.runs.find((one) => one.name === name); });
const isMetric = data.runs.some((one) => one.method.includes("metric"));
addSwitch("levels", "level", [["answer", isMetric ? "pose" : "position"], ["place", "most similar place"]],
  (value) => { level = value; });
by("threshold").value = data.threshold;
by("threshold").oninput = (event) => { threshold = Number(event.target.value); show(); };
by("decided").onclick = () => { threshold = null; by("threshold").value = data.threshold; show(); };
by("close").onclick = () => choose(-1);
by("before").onclick = () => step(-1);
by("after").onclick = () => step(1);
by("wrong").onclick = () => step(1, (i) => kindOf(i) === WRONG);
for (const [name, plot] of [["plan", plan], ["timeline", timeline]]) {
  by(`${name}_closer`).onclick = () => plot.zoom(1.6);
  by(`${name}_wider`).onclick = () => plot.zoom(1 / 1.6);
  by(`${name}_fit`).onclick = () => plot.fit();
}
document.addEventListener("keydown", (event) => {
  if (event.target.tagName === "INPUT" || chosen < 0) return;
  if (event.key === "Escape") choose(-1);
  if (event.key === "ArrowLeft") step(-1);
  if (event.key === "ArrowRight") step(1);
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { plan.draw(); timeline.draw(); });
refit();
