"use strict";
/* The plan is SVG in metres, y up; a closure is a line between two keyframes. */

const by = (id) => document.getElementById(id);
const data = JSON.parse(by("data").textContent);
const plan = by("plan");
const SVG = "http://www.w3.org/2000/svg";
let chosen = -1, order = [];
let view = null;

const metres = (value) =>
  value >= 1000 ? `${(value / 1000).toFixed(1)} km` : `${value.toFixed(value < 10 ? 2 : 0)} m`;
const seconds = (keyframe) => `${data.time[keyframe].toFixed(1)} s`;
const isDoubtful = (loop) => loop.inliers < data.few_inliers;

function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

function drawn(name, attributes) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return plan.appendChild(made);
}

/* ---- plan ---- */

const ends = (loop) => ({
  x1: data.x[loop.query], y1: -data.y[loop.query], x2: data.x[loop.match], y2: -data.y[loop.match],
});

function draw() {
  plan.replaceChildren();
  /* Odometry that restarted begins a line of its own. */
  for (const number of new Set(data.segment)) {
    const rows = data.segment.flatMap((one, row) => (one === number ? [row] : []));
    drawn("polyline", { points: rows.map((row) => `${data.x[row]},${-data.y[row]}`).join(" ") });
  }
  data.loops.forEach((loop, number) => {
    const kind = `loop${isDoubtful(loop) ? " doubt" : ""}${number === chosen ? " chosen" : ""}`;
    drawn("line", { class: kind, ...ends(loop) });
    /* Keyframes of one spot are a point, which a dot shows. */
    drawn("circle", { class: kind, cx: data.x[loop.query], cy: -data.y[loop.query], r: view.dot, fill: "none" });
  });
  data.loops.forEach((loop, number) => {
    const target = drawn("line", { class: "target", ...ends(loop), x2: data.x[loop.match] + 1e-6 });
    target.setAttribute("stroke-linecap", "round");
    target.dataset.loop = number;
  });
  if (chosen >= 0) {
    const { x1, y1, x2, y2 } = ends(data.loops[chosen]);
    for (const [x, y] of [[x1, y1], [x2, y2]]) drawn("line", { class: "end", x1: x, y1: y, x2: x + 1e-6, y2: y });
  }
}

function show() {
  plan.setAttribute("viewBox", `${view.x} ${view.y} ${view.width} ${view.height}`);
  draw();
}

function fit() {
  const box = plan.getBoundingClientRect();
  const low = (values) => values.reduce((a, b) => Math.min(a, b)), high = (values) => values.reduce((a, b) => Math.max(a, b));
  const [left, right] = [low(data.x), high(data.x)], [bottom, top] = [low(data.y), high(data.y)];
  const perPixel = Math.max((right - left) / box.width, (top - bottom) / box.height, 0.01) * 1.12;
  const width = perPixel * box.width, height = perPixel * box.height;
  view = { x: (left + right - width) / 2, y: -(bottom + top + height) / 2, width, height, dot: 3 * perPixel };
  show();
}

function zoom(factor, right = 0.5, down = 0.5) {
  view.x += view.width * right * (1 - 1 / factor);
  view.y += view.height * down * (1 - 1 / factor);
  view.width /= factor;
  view.height /= factor;
  view.dot /= factor;
  show();
}

let held = null;
plan.addEventListener("pointerdown", (event) => { held = { x: event.clientX, y: event.clientY, moved: 0 }; });
plan.addEventListener("pointermove", (event) => {
  if (!held || event.pointerType === "touch") return;
  const perPixel = view.width / plan.getBoundingClientRect().width;
  view.x -= (event.clientX - held.x) * perPixel;
  view.y -= (event.clientY - held.y) * perPixel;
  held = { x: event.clientX, y: event.clientY, moved: held.moved + Math.abs(event.movementX) + Math.abs(event.movementY) };
  if (held.moved > 3) show();
});
plan.addEventListener("pointerup", (event) => {
  const number = event.target.dataset.loop;
  if (held && held.moved <= 3 && number !== undefined) choose(Number(number));
  held = null;
});
plan.addEventListener("pointerleave", () => { held = null; });
plan.addEventListener("wheel", (event) => {
  if (!event.ctrlKey) return;
  event.preventDefault();
  const box = plan.getBoundingClientRect();
  zoom(1.0015 ** -event.deltaY, (event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height);
}, { passive: false });
by("closer").onclick = () => zoom(1.5);
by("wider").onclick = () => zoom(1 / 1.5);
by("fit").onclick = fit;

/* ---- one closure ---- */

function choose(number) {
  chosen = number;
  const loop = data.loops[number];
  by("closure_name").textContent = `${seconds(loop.query)} is where ${seconds(loop.match)} was`;
  by("closure_lead").textContent = isDoubtful(loop)
    ? "The two pictures share little: look whether they show one place."
    : "The two pictures show one scene.";
  for (const side of ["query", "match"]) {
    const keyframe = loop[side], image = by(side);
    image.src = `data:image/jpeg;base64,${data.pictures[data.picture[keyframe]]}`;
    image.nextElementSibling.textContent =
      `${side === "query" ? "now" : "then"}: ${data.images[keyframe]}, ${seconds(keyframe)}`;
  }
  const facts = [
    ["matching features", `${loop.inliers} that one rigid scene explains`],
    ["certainty", `${loop.odds.toFixed(1)} log odds, of ${loop.pairs} pairs of images that agree`],
    ["similarity", loop.similarity.toFixed(2)],
    ["odometry says", `${metres(loop.apart_m)} apart after ${metres(loop.driven_m)} of driving`],
    ["closure says", loop.offset_m === null ? "the same place, how far apart is unknown"
      : `${metres(loop.offset_m)} apart, turned by ${loop.turn_deg.toFixed(0)}°${loop.by_landmarks ? ", by landmarks" : ""}`],
  ];
  by("facts").replaceChildren(...facts.flatMap(([name, value]) =>
    [element("dt", { textContent: name }), element("dd", { textContent: value })]));
  by("views").hidden = by("steps").hidden = false;
  for (const row of document.querySelectorAll("#table tbody tr"))
    row.classList.toggle("chosen", Number(row.dataset.loop) === number);
  draw();
}

const step = (by_) => {
  const place = order.indexOf(chosen) + by_;
  if (order[place] !== undefined) choose(order[place]);
};
by("before").onclick = () => step(-1);
by("after").onclick = () => step(1);
addEventListener("keydown", (event) => {
  if (event.target.tagName === "SELECT") return;
  if (event.key === "ArrowLeft") step(-1);
  if (event.key === "ArrowRight") step(1);
});

/* ---- all of them ---- */

function list() {
  const key = by("order").value;
  order = data.loops.map((_, number) => number);
  if (key !== "time") order.sort((a, b) => data.loops[a][key] - data.loops[b][key]);
  const head = ["now", "then", "features", "certainty", "similarity", "off by odometry"];
  const cells = (loop) => [seconds(loop.query), seconds(loop.match), loop.inliers, loop.odds.toFixed(1),
    loop.similarity.toFixed(2), metres(loop.apart_m)];
  const wide = (column) => (column === 3 || column === 4 ? "wide" : "");
  const rows = order.map((number) => {
    const row = element("tr", {}, ...cells(data.loops[number]).map((text, column) =>
      element("td", { textContent: text, className: wide(column) })));
    row.dataset.loop = number;
    row.onclick = () => choose(number);
    return row;
  });
  by("table").replaceChildren(element("table", {},
    element("thead", {}, element("tr", {}, ...head.map((text, column) =>
      element("th", { textContent: text, className: wide(column) })))),
    element("tbody", {}, ...rows)));
}
by("order").onchange = list;

by("name").textContent = data.name;
by("lead").textContent = data.lead;
by("span").textContent = data.span;
if (!data.loops.length) {
  by("closure_name").textContent = "No loop was closed";
  by("closure_lead").textContent = data.none;
  by("all").hidden = true;
}
list();
fit();
if (data.loops.length) choose(order[0]);
new ResizeObserver(fit).observe(plan);
