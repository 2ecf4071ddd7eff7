// Drawing: every figure comes ready from Python; here it gets the colours of the ground that it
// stands on, the selected trial, and, the front alone, the numbers of a scenario.

const DARK = {
  "#0072b2": "#56b4e9", "#56b4e9": "#2f7fb0", "#d55e00": "#f0813a", "#009e73": "#2cc79a",
  "#475569": "#a8b3c4", "#94a3b8": "#7c8aa0", "#1f2937": "#e6ebf2", "#e2e8f0": "#2b3646",
  "#ffffff": "#141b26",
};
const SELECTED = { light: "#1f2937", dark: "#ffffff" };
const darkness = matchMedia("(prefers-color-scheme: dark)");
const stored = new Map([...document.querySelectorAll("script[data-figure]")]
  .map((node) => [node.dataset.figure, node.textContent]));
const CONFIG = { responsive: true, displayModeBar: false, plotlyServerURL: "", doubleClick: "reset" };

let printing = false;
const isDark = () => darkness.matches && !printing;

function themed(text) {
  return JSON.parse(text, (_, value) => (isDark() && DARK[value]) || value);
}

function ringOf(trial, data) {
  const x = [], y = [];
  let line = false;
  for (const trace of data) {
    if (!trace.customdata || trace.visible === false || trace.orientation === "h") continue;
    trace.customdata.forEach((number, place) => {
      if (number !== trial || trace.x[place] === null) return;
      x.push(trace.x[place]);
      y.push(trace.y[place]);
      line ||= trace.name !== undefined && trace.customdata[place + 1] === trial;
    });
  }
  const colour = isDark() ? SELECTED.dark : SELECTED.light;
  return {
    x, y, mode: line ? "lines+markers" : "markers", hoverinfo: "skip", showlegend: false,
    name: "selected", cliponaxis: true, line: { color: colour, width: 3.5 },
    marker: { symbol: "circle-open", size: line ? 8 : 22, color: colour, line: { width: 2.5, color: colour } },
  };
}

/** What is told of a trial under the pointer, in the few tags that figures understand. */
function told(row) {
  const plain = (text) => String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
  const lines = [
    `<b>Trial ${row.trial}</b>${row.rank ? ` · rank ${row.rank}` : " · dominated"}`,
    ...columns.label[row.index].split(" · ").map(plain),
    `${plain(study.metric.title)} ${plain(columns.cells[row.index][0])}`,
    `Energy ${energy(row.energy)} (${study.kind})`,
    `CO₂ ${mass(row.co2)} (${study.kind})`,
    `Green Score ${count(row.green)} %/kg`,
  ];
  if (row.objection) lines.push(`Not eligible: ${plain(row.objection)}`);
  return lines.join("<br>");
}

function frameOf(values, log, most = null) {
  const spots = values.map((value) => (log ? Math.log10(value) : value));
  const high = Math.max(...spots), low = Math.min(...spots);
  const least = log ? 0.2 : 0.02 * Math.max(...spots.map(Math.abs)) || 1;
  const half = Math.max(high - low, least) * 0.68;
  const middle = (high + low) / 2;
  return [middle - half, most === null ? middle + half : Math.min(middle + half, most + 0.12 * half)];
}

/** The front's figure under the present scenario, over the present cost and in the present frame. */
function frontFigure(figure, state) {
  const { found, across, frame } = state;
  const cost = (row) => (across === "co2" ? row.co2 : row.energy);
  const costs = found.rows.map(cost);
  const scale = sharedScale(costs, across === "co2" ? GRAMS : WATT_HOURS, 1000);
  const log = Math.min(...costs) > 0 && Math.max(...costs) / Math.min(...costs) > 10;
  const up = study.metric.inPercent ? 100 : 1;
  const eligible = found.front.filter((row) => row.objection === null);
  const members = {
    "Dominated": found.rows.filter((row) => row.rank === 0),
    "Front, not eligible": found.front.filter((row) => row.objection !== null),
    "Front, eligible": eligible,
    "Baseline": found.baseline ? [found.baseline] : [],
  };
  for (const trace of figure.data) {
    const rows = members[trace.name];
    if (!rows) continue;
    trace.x = rows.map((row) => cost(row) * scale.factor);
    trace.y = rows.map((row) => row.score * up);
    trace.customdata = rows.map((row) => row.trial);
    trace.hovertext = rows.map(told);
    trace.showlegend = rows.length > 0;
    if (trace.name !== "Dominated") {
      trace.text = rows.map((row) => (trace.name === "Baseline" ? "baseline" : found.names(row).join(", ")));
    }
  }
  const stairs = figure.data.find((trace) => trace.name === "Best for its cost");
  const sorted = [...found.rows].sort((a, b) => cost(a) - cost(b) || gain(b.score) - gain(a.score));
  let reached = -Infinity;
  const kept = sorted.filter((row) => {
    const better = gain(row.score) > reached;
    if (better) reached = gain(row.score);
    return better;
  });
  stairs.x = kept.map((row) => cost(row) * scale.factor);
  stairs.y = kept.map((row) => row.score * up);
  const near = eligible.length && found.baseline ? [...eligible, found.baseline] : eligible;
  const { xaxis, yaxis } = figure.layout;
  besideMarks(figure.data, near.map((row) => cost(row) * scale.factor));
  xaxis.title.text = `${across === "co2" ? "CO₂" : "Energy"} (${scale.unit}, ${study.kind})`;
  xaxis.type = log ? "log" : "linear";
  if (log) xaxis.nticks = 6;
  delete xaxis.range;
  delete yaxis.range;
  if (frame === "close" && near.length) {
    xaxis.range = frameOf(near.map((row) => cost(row) * scale.factor), log);
    yaxis.range = frameOf(near.map((row) => row.score * up), false, study.metric.perfect === null ? null : study.metric.perfect * up);
  }
}

/** Words stand to the right of marks on the left, and the other way round. */
function besideMarks(data, near) {
  const middle = Math.sqrt(Math.max(...near, 1e-30) * Math.min(...near));
  for (const trace of data) {
    if (trace.text && trace.name !== "Baseline") {
      trace.textposition = trace.x.map((x) => (x > middle ? "top left" : "top right"));
    }
  }
}

function draw(name, state) {
  const place = document.getElementById(name);
  if (!place) return;
  const figure = themed(stored.get(name));
  if (name === "front") frontFigure(figure, state);
  if (state.selected !== null) figure.data.push(ringOf(state.selected, figure.data));
  if (printing) {
    figure.layout.width = 830; // at four fifths of its size
    if (name === "front") figure.layout.height = 375; // stands below the model to take, on one page
  }
  Plotly.react(place, figure.data, figure.layout, CONFIG);
  if (place.dataset.listening) return;
  place.dataset.listening = "yes";
  place.on("plotly_click", (event) => {
    const trial = event.points.map((point) => point.customdata).find((number) => places.has(number));
    if (trial !== undefined) select(trial);
  });
}

function drawAll(state) {
  for (const name of stored.keys()) draw(name, state);
}
