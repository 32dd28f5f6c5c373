"use strict";
/* One page, one map: columns of places are drawn on a canvas, everything else is plain HTML. */

const by = (id) => document.getElementById(id);
const map = JSON.parse(by("data").textContent);
const KINDS = { id: Float64Array, east: Float64Array, north: Float64Array, up: Float64Array,
  time: Float64Array, lat: Float64Array, lon: Float64Array, camera: Int32Array, pass: Int32Array,
  landmarks: Int32Array, other: Int32Array, picture: Int32Array };

function decoded(text, Kind) {
  const binary = atob(text), bytes = new Uint8Array(binary.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = binary.charCodeAt(i);
  return new Kind(bytes.buffer);
}

const places = {};
for (const [name, text] of Object.entries(map.columns))
  places[name] = decoded(text, KINDS[name] || Float32Array);
const count = places.x.length;
const heights = span(places.up), usual = Math.max(map.usual, 0.05);
/* How similar the most similar place far away is, in shares of what neighbours are: 1 is as much. */
const unsure = Float32Array.from(places.similarity, (one) => Math.max(0, one / usual));

function span(values) {
  let low = Infinity, high = -Infinity;
  for (const one of values) { if (one < low) low = one; if (one > high) high = one; }
  return low <= high ? [low, high] : [0, 0];
}

/* ---- words ---- */

const NUMBER = new Intl.NumberFormat("en");
const plural = (n, one, many) => `${NUMBER.format(n)} ${n === 1 ? one : many || one + "s"}`;

function metres(value) {
  if (value >= 10000) return `${(value / 1000).toFixed(0)} km`;
  if (value >= 1000) return `${(value / 1000).toFixed(1)} km`;
  return value >= 100 ? `${value.toFixed(0)} m` : `${value.toFixed(value < 1 ? 2 : 1)} m`;
}

const percent = (share) => (Number.isNaN(share) ? "–" : `${Math.round(100 * share)} %`);
const nameOf = (row) => map.images[row].split("/").pop() || `place ${places.id[row]}`;
const timeOf = (row) => new Date(places.time[row] * 1000).toISOString();

function hourOf(row) {
  const seconds = places.time[row] % 86400;
  return Number.isNaN(seconds) ? NaN : seconds / 3600;
}

/* ---- colours ---- */

const COLOURS = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#8e6bbf",
  "#a6761d", "#5f9e2f", "#d1495b"];
const STEPS = 32, UNKNOWN = "#8a94a0";
const HOURS = ["#26336b", "#3b4a94", "#e08e45", "#e3b505", "#f0c808", "#e3b505", "#c8553d",
  "#6a3d7c", "#26336b"];
const ALIKE = ["#a9b8c6", "#a9b8c6", "#c9b458", "#f0a202", "#e4572e", "#a4133c"];
const BLUES = ["#b7d3e6", "#5fa3cf", "#0072b2", "#003f66"];
const HEIGHTS = ["#440154", "#3b528b", "#21918c", "#5ec962", "#fde725"];

function ramp(stops, share) {
  const at = Math.min(Math.max(share, 0), 1) * (stops.length - 1);
  const first = Math.min(Math.floor(at), stops.length - 2), part = at - first;
  const mix = [1, 3, 5].map((k) => Math.round(parseInt(stops[first].substr(k, 2), 16) * (1 - part) +
    parseInt(stops[first + 1].substr(k, 2), 16) * part));
  return `rgb(${mix.join(",")})`;
}

function categories(title, names, column) {
  const tally = new Array(names.length).fill(0);
  for (const one of column) tally[one]++;
  return { title, names: names.map((one) => one || "unnamed"), tally, of: (row) => column[row],
    palette: names.map((_, i) => COLOURS[i] || `hsl(${(i * 137.5) % 360} 55% 50%)`) };
}

function scale(title, stops, value, low, high, label, lowest = "") {
  const palette = [UNKNOWN];
  for (let i = 0; i < STEPS; i++) palette.push(ramp(stops, i / (STEPS - 1)));
  const of = (row) => {
    const share = (value(row) - low) / (high - low || 1);
    return Number.isNaN(share) ? 0 : 1 + Math.round(Math.min(Math.max(share, 0), 1) * (STEPS - 1));
  };
  return { title, palette, of, stops, ends: [lowest || label(low), label(high)] };
}

const views = {};
views.pass = categories("pass", map.passes, places.pass);
views.time = scale("time of day (UTC)", HOURS, hourOf, 0, 24, (h) => `${h}:00`);
views.camera = categories("camera", map.cameras, places.camera);
views.alike = scale("similar places elsewhere", ALIKE, (row) => unsure[row], 0, 1.2,
  (v) => (v ? "as similar as neighbours, or more" : "unlike any other"));
const landmarksMost = span(places.landmarks)[1];
views.points = scale("3-D points", BLUES, (row) => places.landmarks[row] || NaN, 1,
  Math.max(2, landmarksMost), NUMBER.format);
views.height = scale("height", HEIGHTS, (row) => places.up[row], ...heights,
  (v) => `${v.toFixed(1)} m`);
if (map.cameras.length < 2) delete views.camera;
if (!places.time.some((one) => !Number.isNaN(one))) delete views.time;
if (!landmarksMost) delete views.points;
if (heights[1] - heights[0] < 1) delete views.height;

let view, bucket, order;
const hiddenPasses = new Set(), hiddenCameras = new Set();
const isHidden = (row) => hiddenPasses.has(places.pass[row]) || hiddenCameras.has(places.camera[row]);

function colourBy(name) {
  view = views[name];
  bucket = new Uint16Array(count);
  for (let i = 0; i < count; i++) bucket[i] = view.of(i);
  /* Places of one colour are drawn in one go. */
  order = Uint32Array.from({ length: count }, (_, i) => i).sort((a, b) => bucket[a] - bucket[b]);
  drawLegend(name);
  draw();
}

function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

function drawLegend(name) {
  const legend = by("legend");
  if (view.stops) {
    const bar = element("i");
    bar.style.background = `linear-gradient(90deg, ${view.stops.join(",")})`;
    const ends = element("div", {}, ...view.ends.map((text) => element("span", { textContent: text })));
    legend.replaceChildren(element("div", { className: "ramp" }, bar, ends));
    return;
  }
  const hidden = name === "camera" ? hiddenCameras : hiddenPasses;
  legend.replaceChildren(...view.names.map((text, i) => {
    const dot = element("i");
    dot.style.background = view.palette[i];
    const button = element("button", { title: `Show or hide ${text}` }, dot,
      element("span", { textContent: text }),
      element("small", { textContent: NUMBER.format(view.tally[i]) }));
    button.setAttribute("aria-pressed", String(!hidden.has(i)));
    button.onclick = () => {
      if (!hidden.delete(i)) hidden.add(i);
      drawLegend(name);
      draw();
    };
    return button;
  }));
}

/* ---- plan ---- */

const canvas = by("canvas"), pen = canvas.getContext("2d");
const eye = { x: 0, y: 0, zoom: 1 };
let width = 0, height = 0, hovered = -1, chosen = -1, planned = false;
let whole = { ...eye }; // The eye as it last showed all places.
let shownPairs = [];
const toX = (x) => (x - eye.x) * eye.zoom + width / 2;
const toY = (y) => height / 2 - (y - eye.y) * eye.zoom;
const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name);

function fit(rows) {
  const xs = span(rows ? rows.map((row) => places.x[row]) : places.x);
  const ys = span(rows ? rows.map((row) => places.y[row]) : places.y);
  eye.x = (xs[0] + xs[1]) / 2;
  eye.y = (ys[0] + ys[1]) / 2;
  const room = 2 * Math.min(56, 0.12 * Math.min(width, height));
  eye.zoom = Math.min((width - room) / Math.max(xs[1] - xs[0], 1e-3),
    (height - room) / Math.max(ys[1] - ys[0], 1e-3), 400);
  if (!rows) whole = { ...eye };
  draw();
}

function resize() {
  const box = canvas.getBoundingClientRect(), ratio = window.devicePixelRatio || 1;
  const isWhole = Object.keys(eye).every((key) => eye[key] === whole[key]);
  width = box.width;
  height = box.height;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  if (isWhole) fit(); else draw();
}

function draw() {
  if (planned) return;
  planned = true;
  requestAnimationFrame(() => { planned = false; paint(); });
}

function paint() {
  pen.fillStyle = style("--ground");
  pen.fillRect(0, 0, width, height);
  const step = niceLength(110 / eye.zoom);
  if (!paintTiles()) paintGrid(step);
  if (by("show_gaps").checked) paintGaps();
  if (by("show_pairs").checked) paintPairs();
  paintPlaces();
  for (const row of [hovered, chosen]) if (row >= 0) paintRing(row);
  by("bar").style.width = `${step * eye.zoom}px`;
  by("bar_length").textContent = step >= 1000 ? `${step / 1000} km` : `${step} m`;
}

function niceLength(wanted) {
  const ten = 10 ** Math.floor(Math.log10(wanted));
  return Number((ten * [1, 2, 5].filter((one) => one * ten <= wanted).pop()).toPrecision(2));
}

function paintGrid(step) {
  pen.strokeStyle = style("--grid");
  pen.lineWidth = 1;
  pen.beginPath();
  const left = eye.x - width / 2 / eye.zoom, low = eye.y - height / 2 / eye.zoom;
  for (let x = Math.ceil(left / step) * step; toX(x) <= width; x += step) {
    pen.moveTo(Math.round(toX(x)) + 0.5, 0);
    pen.lineTo(Math.round(toX(x)) + 0.5, height);
  }
  for (let y = Math.ceil(low / step) * step; toY(y) >= 0; y += step) {
    pen.moveTo(0, Math.round(toY(y)) + 0.5);
    pen.lineTo(width, Math.round(toY(y)) + 0.5);
  }
  pen.stroke();
}

/* Pixels per place decide how large a dot is: crowded maps get small ones. */
function dotSize() {
  const xs = span(places.x), ys = span(places.y);
  const length = Math.hypot(xs[1] - xs[0], ys[1] - ys[0]) * eye.zoom;
  return Math.min(5.5, Math.max(1.3, 1.1 * Math.sqrt(length / Math.sqrt(count) / 3)));
}

function paintPlaces() {
  const r = dotSize();
  if (by("show_headings").checked && r > 2.8) paintHeadings(r);
  let last = -1;
  for (const row of order) {
    const x = toX(places.x[row]), y = toY(places.y[row]);
    if (x < -r || y < -r || x > width + r || y > height + r || isHidden(row)) continue;
    if (bucket[row] !== last) {
      if (last >= 0) fillDots(r);
      last = bucket[row];
      pen.fillStyle = view.palette[last];
      pen.beginPath();
    }
    if (r < 2.2) pen.rect(x - r, y - r, 2 * r, 2 * r);
    else { pen.moveTo(x + r, y); pen.arc(x, y, r, 0, 7); }
  }
  if (last >= 0) fillDots(r);
}

/* A thin rim keeps dots apart that touch each other. */
function fillDots(r) {
  pen.fill();
  if (r < 3.2) return;
  pen.strokeStyle = style("--paper");
  pen.lineWidth = 1;
  pen.stroke();
}

/* Directions below the dots, while there are few enough to tell them apart. */
function paintHeadings(r) {
  const isSeen = (row) => {
    const x = toX(places.x[row]), y = toY(places.y[row]);
    return x > 0 && y > 0 && x < width && y < height && !isHidden(row);
  };
  const seen = order.filter(isSeen);
  if (seen.length < 3000) seen.forEach((row) => paintHeading(row, r));
}

function paintHeading(row, r) {
  const angle = (places.heading[row] * Math.PI) / 180;
  if (Number.isNaN(angle)) return;
  const x = toX(places.x[row]), y = toY(places.y[row]);
  pen.strokeStyle = view.palette[bucket[row]];
  pen.lineWidth = Math.max(1.2, r / 3);
  pen.beginPath();
  pen.moveTo(x, y);
  pen.lineTo(x + 2.6 * r * Math.sin(angle), y - 2.6 * r * Math.cos(angle));
  pen.stroke();
}

function paintLine(from, to, bend) {
  const x0 = toX(places.x[from]), y0 = toY(places.y[from]);
  const x1 = toX(places.x[to]), y1 = toY(places.y[to]);
  pen.beginPath();
  pen.moveTo(x0, y0);
  pen.quadraticCurveTo((x0 + x1) / 2 - (y1 - y0) * bend, (y0 + y1) / 2 + (x1 - x0) * bend, x1, y1);
  pen.stroke();
}

function paintPairs() {
  pen.strokeStyle = style("--violet");
  for (const [from, to] of shownPairs) {
    if (isHidden(from) || isHidden(to)) continue;
    pen.globalAlpha = 0.55;
    pen.lineWidth = 1.4;
    paintLine(from, to, 0.14);
  }
  pen.globalAlpha = 1;
  if (chosen >= 0 && places.other[chosen] >= 0) {
    pen.lineWidth = 2.4;
    paintLine(chosen, places.other[chosen], 0.14);
    paintRing(places.other[chosen], "--violet");
  }
}

function paintGaps() {
  pen.strokeStyle = style("--vermilion");
  pen.lineWidth = 2;
  pen.setLineDash([6, 5]);
  for (const [from, to] of map.gaps) paintLine(from, to, 0);
  pen.setLineDash([]);
}

function paintRing(row, name = "--ink") {
  pen.strokeStyle = style(name);
  pen.lineWidth = 2.2;
  pen.beginPath();
  pen.arc(toX(places.x[row]), toY(places.y[row]), dotSize() + 4, 0, 7);
  pen.stroke();
}

/* ---- street tiles, where the map's maker asked for them ---- */

const tiles = new Map();
const MAX_TILES = 60, EARTH_M = 6378137, FLATTENING = 1 / 298.257223563;

/* East and north (m) of a point on the ellipsoid, from the middle of the places. */
function planOf(lat, lon) {
  const rad = Math.PI / 180, e2 = FLATTENING * (2 - FLATTENING);
  const at = (lat_deg, lon_deg, alt) => {
    const s = Math.sin(lat_deg * rad), c = Math.cos(lat_deg * rad), l = lon_deg * rad;
    const n = EARTH_M / Math.sqrt(1 - e2 * s * s);
    return [(n + alt) * c * Math.cos(l), (n + alt) * c * Math.sin(l), (n * (1 - e2) + alt) * s];
  };
  const { lat_deg, lon_deg, alt_m } = map.datum;
  const from = at(lat_deg, lon_deg, alt_m), to = at(lat, lon, alt_m);
  const [dx, dy, dz] = to.map((one, i) => one - from[i]);
  const s = Math.sin(lat_deg * rad), c = Math.cos(lat_deg * rad);
  const sl = Math.sin(lon_deg * rad), cl = Math.cos(lon_deg * rad);
  return [-sl * dx + cl * dy - (places.east[0] - places.x[0]),
    -s * cl * dx - s * sl * dy + c * dz - (places.north[0] - places.y[0])];
}

function tileAt(lat, lon, zoom) {
  const n = 2 ** zoom, rad = (lat * Math.PI) / 180;
  return [((lon + 180) / 360) * n, ((1 - Math.asinh(Math.tan(rad)) / Math.PI) / 2) * n];
}

function cornerOf(column, line, zoom) {
  const n = 2 ** zoom;
  return planOf((Math.atan(Math.sinh(Math.PI * (1 - (2 * line) / n))) * 180) / Math.PI,
    (column / n) * 360 - 180);
}

function paintTiles() {
  if (!map.tiles || !by("show_tiles").checked) return false;
  const { lat_deg } = map.datum, perDegree = 111320;
  const middle = [eye.y + places.north[0] - places.y[0], eye.x + places.east[0] - places.x[0]];
  const lat = lat_deg + middle[0] / perDegree;
  const lon = map.datum.lon_deg + middle[1] / (perDegree * Math.cos((lat_deg * Math.PI) / 180));
  const pixel = (40075017 * Math.cos((lat * Math.PI) / 180)) / 256;
  const zoom = Math.min(19, Math.max(1, Math.round(Math.log2(pixel * eye.zoom))));
  const [column, line] = tileAt(lat, lon, zoom).map(Math.floor);
  const corners = [cornerOf(column, line, zoom), cornerOf(column + 1, line + 1, zoom)];
  const side = Math.max(32, (corners[1][0] - corners[0][0]) * eye.zoom);
  const reach = [Math.ceil(width / 2 / side) + 1, Math.ceil(height / 2 / side) + 1];
  pen.globalAlpha = 0.8;
  for (let i = -reach[0]; i <= reach[0]; i++)
    for (let j = -reach[1]; j <= reach[1]; j++) paintTile(column + i, line + j, zoom);
  pen.globalAlpha = 1;
  return true;
}

function paintTile(column, line, zoom) {
  const [x0, y0] = cornerOf(column, line, zoom), [x1, y1] = cornerOf(column + 1, line + 1, zoom);
  const box = [toX(x0), toY(y0), toX(x1) - toX(x0) + 0.6, toY(y1) - toY(y0) + 0.6];
  if (box[0] > width || box[1] > height || box[0] + box[2] < 0 || box[1] + box[3] < 0) return;
  const address = map.tiles.replace("{z}", zoom).replace("{x}", column).replace("{y}", line);
  if (!tiles.has(address)) {
    if (tiles.size > MAX_TILES) tiles.delete(tiles.keys().next().value);
    const image = new Image();
    image.onload = draw;
    image.src = address;
    tiles.set(address, image);
  }
  const image = tiles.get(address);
  if (image.complete && image.naturalWidth) pen.drawImage(image, ...box);
}

/* ---- one place ---- */

function pictureOf(row) {
  const number = places.picture[row];
  if (number < 0) return "";
  const text = map.pictures[number];
  return `data:image/${text.startsWith("UklG") ? "webp" : "jpeg"};base64,${text}`;
}

const pictureRow = (row) => (places.picture[row] < 0 ? row : map.picture_rows[places.picture[row]]);

function nearest(x, y) {
  let best = -1, least = 14 * 14;
  for (let row = 0; row < count; row++) {
    const dx = toX(places.x[row]) - x, dy = toY(places.y[row]) - y, d = dx * dx + dy * dy;
    if (d < least && !isHidden(row)) { least = d; best = row; }
  }
  return best;
}

function hover(row, x, y) {
  if (row !== hovered) { hovered = row; draw(); }
  canvas.classList.toggle("over", row >= 0);
  const tip = by("tip");
  tip.hidden = row < 0;
  if (row < 0) return;
  const image = tip.querySelector("img"), source = pictureOf(row);
  image.hidden = !source;
  if (image.src !== source) image.src = source;
  tip.querySelector("b").textContent = nameOf(row);
  tip.querySelector("span").textContent = [map.passes[places.pass[row]], map.cameras[places.camera[row]],
    `${places.east[row].toFixed(1)} m east, ${places.north[row].toFixed(1)} m north`]
    .filter(Boolean).join(" · ");
  const box = tip.getBoundingClientRect();
  tip.style.left = `${Math.max(6, x + 16 + box.width > width ? x - box.width - 16 : x + 16)}px`;
  tip.style.top = `${Math.max(6, Math.min(y + 14, height - box.height - 6))}px`;
}

function factsOf(row) {
  const facts = [["place", `${places.id[row]}`]];
  if (map.images[row]) facts.push(["image", map.images[row]]);
  facts.push(["position", `${places.east[row].toFixed(2)} m east, ${places.north[row].toFixed(2)} m` +
    ` north, ${places.up[row].toFixed(2)} m up`]);
  if (places.lat) facts.push(["on earth", `${places.lat[row].toFixed(7)}°, ${places.lon[row].toFixed(7)}°`]);
  const heading = places.heading[row];
  facts.push(["direction", Number.isNaN(heading) ? "unknown" : `${heading.toFixed(0)}° from north`]);
  if (map.passes[places.pass[row]]) facts.push(["pass", map.passes[places.pass[row]]]);
  if (map.cameras[places.camera[row]]) facts.push(["camera", map.cameras[places.camera[row]]]);
  if (!Number.isNaN(places.time[row])) facts.push(["taken", timeOf(row).replace("T", " ").replace("Z", " UTC")]);
  facts.push(["3-D points", places.landmarks[row] ? NUMBER.format(places.landmarks[row]) : "none"]);
  return facts;
}

function rowsOf(facts) {
  return facts.map(([name, value]) => element("tr", {}, element("th", { textContent: name }),
    element("td", { textContent: value })));
}

function figure(row, caption) {
  const source = pictureOf(row), shown = pictureRow(row);
  const parts = source ? [element("img", { src: source, alt: `picture of ${nameOf(shown)}` })] : [];
  if (source && shown !== row)
    caption.append(` (picture of ${nameOf(shown)}, the nearest on this page)`);
  return element("figure", {}, ...parts, caption);
}

/* Whether the plan stands above the lists. */
const isNarrow = () => matchMedia("(max-width: 820px)").matches;

function choose(row, andLook = false) {
  chosen = row;
  const card = by("place");
  card.hidden = row < 0;
  draw();
  if (row < 0) return;
  by("place_name").textContent = nameOf(row);
  const shown = [figure(row, element("figcaption", { textContent: "this place" }))];
  const other = places.other[row];
  if (other >= 0) {
    const go = element("button", { textContent: nameOf(other), onclick: () => choose(other, true) });
    const apart = Math.hypot(places.east[row] - places.east[other],
      places.north[row] - places.north[other], places.up[row] - places.up[other]);
    shown.push(figure(other, element("figcaption", {}, "most similar elsewhere: ", go,
      `, ${metres(apart)} away, ${percent(unsure[row])} as similar as neighbours`)));
  }
  by("views").replaceChildren(...shown);
  by("place_facts").replaceChildren(...rowsOf(factsOf(row)));
  if (andLook) look([row]);
  if (!isNarrow()) card.scrollIntoView({ block: "nearest" });
}

/* Bring rows into the middle, closer where all are shown. */
function look(rows) {
  if (rows.length > 1) { fit(rows); return; }
  const x = toX(places.x[rows[0]]), y = toY(places.y[rows[0]]);
  if (x > 40 && y > 40 && x < width - 40 && y < height - 40) return;
  eye.x = places.x[rows[0]];
  eye.y = places.y[rows[0]];
  draw();
}

/* ---- findings ---- */

function listPairs() {
  const least = Number(by("least").value) / 100;
  by("least_value").textContent = percent(least);
  const chosenPairs = map.pairs.map((rows, i) => [rows, i]).filter(([rows]) => unsure[rows[0]] >= least);
  shownPairs = chosenPairs.map(([rows]) => rows);
  by("pair_count").textContent = chosenPairs.length;
  let places_over = 0;
  for (const one of unsure) if (one >= least) places_over++;
  by("pairs_note").textContent = `${plural(places_over, "place looks", "places look")} at least` +
    ` ${percent(least)} as similar to a place over ${metres(map.far_m)} away as neighbours look to` +
    " each other. There one image leaves a robot unsure; a sequence of images tells them apart." +
    (map.compared < count ? ` Each was compared with ${NUMBER.format(map.compared)} places, evenly taken.` : "");
  by("pair_list").replaceChildren(...chosenPairs.map(([rows, i]) => element("li", {},
    listed(rows, [element("img", { src: pictureOf(rows[0]), alt: "" }),
      element("img", { src: pictureOf(rows[1]), alt: "" }),
      element("b", { textContent: percent(unsure[rows[0]]) }),
      element("span", { textContent: `${metres(map.pair_m[i])} apart` })]))));
  draw();
}

function listed(rows, parts) {
  const show = () => {
    choose(rows[0]);
    look(rows);
    if (isNarrow()) scrollTo({ top: 0, behavior: "smooth" });
  };
  return element("button", { onclick: show, title: rows.map(nameOf).join(" and ") }, ...parts);
}

function listGaps() {
  by("gaps").hidden = !map.gaps.length;
  by("gap_count").textContent = map.gaps.length;
  by("gap_list").replaceChildren(...map.gaps.map((rows, i) => element("li", {},
    listed(rows, [element("b", { textContent: metres(map.gap_m[i]) }),
      element("span", { textContent: `${nameOf(rows[0])} → ${nameOf(rows[1])}` })]))));
}

/* What was searched when the page was made: the page has no model to search by itself. */
function listFound() {
  by("found").hidden = !map.found.length;
  if (!map.found.length) return;
  const one = map.found[by("words").selectedIndex];
  by("found_note").textContent = one.here ? "" : "Nothing in the map stands out; the most similar places:";
  by("found_list").replaceChildren(...one.rows.map((row, i) => element("li", {},
    listed([row], [element("img", { src: pictureOf(row), alt: "" }),
      element("b", { textContent: one.scores[i].toFixed(3) }),
      element("span", { textContent: nameOf(row) })]))));
}

/* ---- hands ---- */

function zoomBy(factor, x = width / 2, y = height / 2) {
  const at = [(x - width / 2) / eye.zoom + eye.x, (height / 2 - y) / eye.zoom + eye.y];
  eye.zoom = Math.min(5000, Math.max(1e-5, eye.zoom * factor));
  eye.x = at[0] - (x - width / 2) / eye.zoom;
  eye.y = at[1] - (height / 2 - y) / eye.zoom;
  draw();
}

const fingers = new Map();
let travelled = 0;
const spot = (event) => {
  const box = canvas.getBoundingClientRect();
  return [event.clientX - box.left, event.clientY - box.top];
};

canvas.onpointerdown = (event) => {
  canvas.setPointerCapture(event.pointerId);
  fingers.set(event.pointerId, spot(event));
  if (fingers.size === 1) travelled = 0;
  hover(-1);
};

canvas.onpointermove = (event) => {
  const now = spot(event), before = fingers.get(event.pointerId);
  if (!before) { hover(nearest(...now), ...now); return; }
  const others = [...fingers].filter(([id]) => id !== event.pointerId).map(([, at]) => at);
  fingers.set(event.pointerId, now);
  travelled += Math.hypot(now[0] - before[0], now[1] - before[1]);
  canvas.classList.add("moving");
  const share = 1 / fingers.size;
  eye.x -= ((now[0] - before[0]) / eye.zoom) * share;
  eye.y += ((now[1] - before[1]) / eye.zoom) * share;
  if (others.length) {
    const [ax, ay] = others[0], reach = (at) => Math.max(8, Math.hypot(at[0] - ax, at[1] - ay));
    zoomBy(reach(now) / reach(before), (ax + now[0]) / 2, (ay + now[1]) / 2);
  }
  draw();
};

canvas.onpointerup = canvas.onpointercancel = (event) => {
  const at = fingers.get(event.pointerId);
  fingers.delete(event.pointerId);
  canvas.classList.remove("moving");
  if (event.type !== "pointerup" || !at || travelled > 6) return;
  const row = nearest(...at);
  choose(row);
  if (event.pointerType !== "mouse") hover(row, ...at);
};

canvas.onpointerleave = () => { if (!fingers.size) hover(-1); };
canvas.addEventListener("wheel", (event) => {
  event.preventDefault();
  zoomBy(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0015)), ...spot(event));
}, { passive: false });
canvas.ondblclick = (event) => zoomBy(2, ...spot(event));

canvas.onkeydown = (event) => {
  const steps = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 };
  if (event.key in steps) choose((chosen + steps[event.key] + count) % count, true);
  else if (event.key === "+" || event.key === "=") zoomBy(1.5);
  else if (event.key === "-") zoomBy(1 / 1.5);
  else if (event.key === "0") fit();
  else return;
  event.preventDefault();
};
document.addEventListener("keydown", (event) => { if (event.key === "Escape") choose(-1); });

by("closer").onclick = () => zoomBy(1.5);
by("wider").onclick = () => zoomBy(1 / 1.5);
by("fit").onclick = () => fit();
by("close").onclick = () => choose(-1);
by("colour").onchange = (event) => colourBy(event.target.value);
by("least").oninput = listPairs;
by("words").onchange = listFound;
for (const id of ["show_pairs", "show_gaps", "show_headings", "show_tiles"]) by(id).onchange = draw;

/* ---- start ---- */

by("name").textContent = map.name;
by("lead").textContent = [plural(count, "place"), plural(map.passes.length, "pass", "passes"),
  plural(map.cameras.length, "camera")].join(" · ");
by("facts").replaceChildren(...rowsOf(map.facts));
by("colour").replaceChildren(...Object.entries(views).map(([name, one]) =>
  element("option", { value: name, textContent: one.title })));
by("pairs").hidden = !map.pairs.length;
if (map.tiles) {
  const host = new URL(map.tiles).host;
  by("street").hidden = by("attribution").hidden = false;
  by("attribution").textContent = host.endsWith("openstreetmap.org") ? "© OpenStreetMap contributors" : host;
}
by("colour").value = map.passes.length > 1 ? "pass" : "alike";
by("words").replaceChildren(...map.found.map((one) => element("option", { textContent: one.words })));
listFound();
listPairs();
listGaps();
colourBy(by("colour").value);
new ResizeObserver(resize).observe(canvas);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
