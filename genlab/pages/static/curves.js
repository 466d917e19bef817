// Curves of one metric of all runs.
const found = JSON.parse(document.getElementById("data").textContent);
const at = (id) => document.getElementById(id);
const COLOURS = 10;
const FIRST = 0.1; // share of a curve that does not decide the vertical range: it would flatten the rest
const NEAR = 20; // pixels beside a curve at which its end is still read
const WHOLE = [...Array(10).keys()].flatMap((power) => [1, 2, 5].map((digit) => digit * 10 ** power)); // no half step
const shownRuns = new Set(found.runs.map((_, number) => number));
let plot = null;
let drawn = [];

const told = (value) => (value == null ? "" : Number(value.toPrecision(5)).toLocaleString("en", { maximumFractionDigits: 12 }));
const colourOf = (run) => theme.colour(`c${run % COLOURS}`);
const axisName = () => at("across").value;

/** Curves of the chosen metric, along the chosen axis. */
function chosenCurves() {
  const splits = ["train", "valid"].filter((name) => at(name).checked);
  return found.curves
    .filter((c) => c.metric === at("metric").value && splits.includes(c.split) && shownRuns.has(c.run))
    .map((c) => {
      const scale = axisName() === "epoch" ? found.runs[c.run].epochs : 1;
      const keep = c.x.map((x, i) => [x * scale, c.y[i]])
        .filter(([x, y]) => (!at("log-y").checked || y > 0) && (!at("log-x").checked || x > 0));
      return { ...c, scale, points: [keep.map(([x]) => x), keep.map(([, y]) => y)] };
    })
    .filter((c) => c.scale && c.points[0].length);
}

/** Lowest and highest value, of a whole view without the start of each curve. */
function verticalRange(u, low, high) {
  if (low == null) return [0, 1];
  const [left, right] = [u.scales.x.min, u.scales.x.max];
  const all = u.data[0];
  if (left <= all[0] && right >= all[all.length - 1]) {
    const rest = drawn.flatMap((c) => c.points[1].slice(Math.floor(c.points[1].length * FIRST)));
    low = Math.min(...rest);
    high = Math.max(...rest);
  }
  return at("log-y").checked ? uPlot.rangeLog(low, high, 10, false) : uPlot.rangeNum(low, high, 0.06, false);
}

/** Upright dashes where something befell a run. */
function drawMarks(u) {
  const { ctx, bbox } = u;
  ctx.save();
  ctx.setLineDash([2 * devicePixelRatio, 4 * devicePixelRatio]);
  for (const run of new Set(drawn.map((c) => c.run))) {
    const scale = axisName() === "epoch" ? found.runs[run].epochs : 1;
    ctx.strokeStyle = colourOf(run);
    for (const [step] of found.runs[run].marks) {
      const x = u.valToPos(step * scale, "x", true);
      if (x < bbox.left || x > bbox.left + bbox.width) continue;
      ctx.beginPath();
      ctx.moveTo(x, bbox.top);
      ctx.lineTo(x, bbox.top + bbox.height);
      ctx.stroke();
    }
  }
  ctx.restore();
}

/** Says the values nearest to the cursor. */
function read(u) {
  const { left, idx } = u.cursor;
  document.querySelectorAll("#legend .value").forEach((span) => { span.textContent = ""; });
  if (left == null || left < 0 || idx == null) {
    at("reading").textContent = "";
    return;
  }
  const x = u.posToVal(left, "x");
  let nearest = null;
  const values = new Map();
  drawn.forEach((c) => {
    const place = closest(c.points[0], x);
    const [own, value] = [c.points[0][place], c.points[1][place]];
    const far = Math.abs(u.valToPos(value, "y") - u.cursor.top);
    const [first, last] = [c.points[0][0], c.points[0].at(-1)].map((end) => u.valToPos(end, "x"));
    const beside = left < first - NEAR || left > last + NEAR;
    if (!beside && (!nearest || far < nearest.far)) nearest = { c, own, value, far };
    values.set(c.run, [...(values.get(c.run) ?? []), `${c.split} ${told(value)}`]);
  });
  values.forEach((texts, run) => { at(`value-${run}`).textContent = texts.join(", "); });
  at("reading").textContent = nearest
    ? `${found.runs[nearest.c.run].name}, ${nearest.c.split}: ${at("metric").value} ${told(nearest.value)} at ${axisName()} ${told(nearest.own)}`
    : "";
}

/** Index of the value in a rising list that is nearest to x. */
function closest(list, x) {
  let [low, high] = [0, list.length - 1];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (list[middle] < x) low = middle;
    else high = middle;
  }
  return Math.abs(list[low] - x) <= Math.abs(list[high] - x) ? low : high;
}

function options(width) {
  const [ink, line] = [theme.colour("faint"), theme.colour("line")];
  const axis = { stroke: ink, grid: { stroke: line, width: 1 }, ticks: { stroke: line, width: 1 } };
  return {
    width,
    height: Math.max(260, Math.min(440, Math.round(width * 0.55))),
    legend: { show: false },
    cursor: { drag: { x: true, y: true, uni: 30 }, focus: { prox: 30 } },
    focus: { alpha: 0.35 },
    scales: {
      x: { time: false, distr: at("log-x").checked ? 3 : 1 },
      y: { distr: at("log-y").checked ? 3 : 1, range: verticalRange },
    },
    axes: [
      { ...axis, label: axisName(), labelSize: 22, size: 40, incrs: axisName() === "step" ? WHOLE : undefined },
      { ...axis, size: 62, values: (u, ticks) => ticks.map((t) => (t == null ? "" : told(t))) },
    ],
    series: [
      {},
      ...drawn.map((c) => ({
        label: `${found.runs[c.run].name}, ${c.split}`,
        stroke: colourOf(c.run),
        width: c.split === "valid" ? 2.4 : 1.2,
        dash: c.run >= COLOURS ? [8, 4] : undefined,
        points: { show: c.split === "valid" || c.points[0].length === 1, size: 5 },
        spanGaps: true,
      })),
    ],
    hooks: { draw: [drawMarks], setCursor: [read] },
  };
}

function draw() {
  plot?.destroy();
  plot = null;
  drawn = chosenCurves();
  at("chart").textContent = drawn.length ? "" : "No curve of the chosen runs has this metric.";
  at("reading").textContent = "";
  const having = new Set(found.curves.filter((c) => c.metric === at("metric").value).map((c) => c.run));
  [...at("legend").children].forEach((item, run) => item.classList.toggle("none", !having.has(run)));
  const few = drawn.some((c) => c.thinned);
  at("thinned").textContent = few ? "Long curves show the lowest and the highest value of each stretch." : "";
  if (!drawn.length) return;
  const data = uPlot.join(drawn.map((c) => c.points));
  plot = new uPlot(options(at("chart").clientWidth - 8), data, at("chart"));
}

/** Enlarges the horizontal view around the cursor or the middle. */
function zoom(factor) {
  if (!plot) return;
  const { min, max } = plot.scales.x;
  const [first, last] = [plot.data[0][0], plot.data[0].at(-1)];
  const centre = plot.cursor.left >= 0 ? plot.posToVal(plot.cursor.left, "x") : (min + max) / 2;
  plot.setScale("x", {
    min: Math.max(first, centre - (centre - min) * factor),
    max: Math.min(last, centre + (max - centre) * factor),
  });
}

function readAlong(direction) {
  if (!plot) return;
  const x = plot.data[0];
  const here = plot.cursor.left >= 0 ? closest(x, plot.posToVal(plot.cursor.left, "x")) : -1;
  const next = Math.max(0, Math.min(x.length - 1, here + direction));
  const top = plot.cursor.top >= 0 ? plot.cursor.top : plot.over.clientHeight / 2;
  plot.setCursor({ left: plot.valToPos(x[next], "x"), top });
}

const KEYS = {
  ArrowLeft: () => readAlong(-1), ArrowRight: () => readAlong(1),
  "+": () => zoom(0.6), "-": () => zoom(1 / 0.6), 0: draw,
};

function listRuns() {
  found.runs.forEach((run, number) => {
    const [item, label, box, swatch, name, value] =
      ["li", "label", "input", "i", "span", "span"].map((tag) => document.createElement(tag));
    Object.assign(box, { type: "checkbox", checked: true });
    swatch.className = `swatch c${number % COLOURS}`;
    name.textContent = run.name;
    value.className = "value";
    value.id = `value-${number}`;
    box.addEventListener("change", () => {
      shownRuns[box.checked ? "add" : "delete"](number);
      draw();
    });
    label.append(box, swatch, name);
    item.append(label, " ", value);
    at("legend").append(item);
  });
}

function start() {
  const names = [...new Set(found.curves.map((c) => c.metric))];
  at("metric").append(...names.map((name) => new Option(name, name)));
  at("metric").value = names.includes(found.first) ? found.first : names[0];
  listRuns();
  for (const id of ["metric", "across", "log-y", "log-x", "train", "valid"]) at(id).addEventListener("change", draw);
  at("zoom-in").addEventListener("click", () => zoom(0.6));
  at("zoom-out").addEventListener("click", () => zoom(1 / 0.6));
  at("zoom-all").addEventListener("click", draw);
  at("chart").addEventListener("keydown", (event) => {
    if (!KEYS[event.key] || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    KEYS[event.key]();
  });
  theme.listeners.push(draw);
  let width = at("chart").clientWidth;
  draw();
  new ResizeObserver(() => {
    if (at("chart").clientWidth === width) return;
    width = at("chart").clientWidth;
    draw();
  }).observe(at("chart"));
}

if (at("chart")) start();
