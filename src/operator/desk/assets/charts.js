// Charts of one service: the last 15 minutes live, an hour or a day from the journal.
'use strict';

const section = document.querySelector('[data-service]');
const { service, hours } = section.dataset;
const marks = JSON.parse(section.dataset.marks);
const KEPT = 450;
const SAMPLE_SECONDS = 2;
/** Samples of two seconds are joined, because single ones vary too much. */
const JOINED_SECONDS = 10;
const HISTORY_EVERY_MS = 60_000;

/** A colour of the style sheet, resolved for the canvas, which does not support light-dark(). */
function colour(name) {
  const probe = document.createElement('i');
  probe.hidden = true;
  probe.className = `ink-${name}`;
  document.body.append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
}

const time = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit' });
const clock = (seconds) => time.format(seconds * 1_000);

const rounded = (value) => (value >= 100 ? Math.round(value) : Math.round(value * 10) / 10);
/** A duration in seconds if milliseconds would be long. */
const duration = (ms) => (ms >= 1_000 ? `${rounded(ms / 1_000)} s` : `${rounded(ms)} ms`);
const rate = (unit) => (value) => `${rounded(value)}${unit}`;

/** The lines of each chart: the value of a point, and its colour. */
const CHARTS = {
  reads: {
    shown: rate('/s'),
    lines: [
      { label: 'legacy', of: (p) => p.legacy / p.seconds, ink: 'legacy' },
      { label: 'orchestrator', of: (p) => p.orchestrator / p.seconds, ink: 'orchestrator' },
      { label: 'writes', of: (p) => p.writes / p.seconds, ink: 'writes' },
    ],
  },
  latency: {
    shown: duration,
    lines: [
      { label: 'legacy', of: (p) => p.p95Legacy, ink: 'legacy' },
      { label: 'orchestrator', of: (p) => p.p95Orchestrator, ink: 'orchestrator' },
    ],
  },
  added: {
    shown: duration,
    lines: [{ label: 'added p95', of: (p) => p.added, ink: 'orchestrator' }],
  },
  lag: {
    shown: duration,
    lines: [{ label: 'longest delivery', of: (p) => p.lag, ink: 'lag' }],
  },
  differing: {
    shown: rate('/min'),
    lines: [
      { label: 'equal', of: (p) => (60 * p.match) / p.seconds, ink: 'good' },
      { label: 'differ', of: (p) => (60 * p.mismatch) / p.seconds, ink: 'bad' },
    ],
  },
};

const sum = (values) => values.reduce((all, value) => all + value, 0);
const known = (values) => values.filter((value) => value !== null);

function median(values) {
  const sorted = known(values).sort((a, b) => a - b);
  return sorted.length === 0 ? null : sorted[Math.floor(sorted.length / 2)];
}

function largest(values) {
  return known(values).length === 0 ? null : Math.max(...known(values));
}

/** One point per ten seconds. */
function joined(samples) {
  const groups = Map.groupBy(samples, ({ atMs }) => Math.floor(atMs / (JOINED_SECONDS * 1_000)));
  return [...groups].map(([step, group]) => ({
    at: step * JOINED_SECONDS,
    seconds: group.length * SAMPLE_SECONDS,
    legacy: sum(group.map((s) => s.reads.legacy)),
    orchestrator: sum(group.map((s) => s.reads.orchestrator)),
    writes: sum(group.map((s) => s.writes)),
    p95Legacy: median(group.map((s) => s.p95.legacy)),
    p95Orchestrator: median(group.map((s) => s.p95.orchestrator)),
    added: median(group.map((s) => s.addedP95)),
    lag: largest(group.map((s) => s.lagMs)),
    match: sum(group.map((s) => s.match)),
    mismatch: sum(group.map((s) => s.mismatch)),
  }));
}

/** A step without a row had no traffic. The last step is not complete. */
function fromHistory({ step_seconds: step, samples }) {
  const rows = new Map(samples.map((sample) => [Date.parse(sample.at) / 1_000, sample]));
  const now = Date.now() / 1_000;
  const first = Math.ceil((now - Number(hours) * 3_600) / step) * step;
  const none = {
    reads: { legacy: 0, orchestrator: 0 },
    writes: 0,
    match: 0,
    mismatch: 0,
    added_p95_ms: null,
  };
  return Array.from({ length: Math.max(1, Math.ceil((now - first) / step)) }, (_, index) => {
    const at = first + index * step;
    const { reads, writes, match, mismatch, added_p95_ms: added } = rows.get(at) ?? none;
    const seconds = Math.max(1, Math.min(step, now - at));
    return {
      at,
      seconds,
      ...reads,
      writes,
      match,
      mismatch,
      added,
      p95Legacy: null,
      p95Orchestrator: null,
      lag: null,
    };
  });
}

let points = [];

/** Vertical lines where a flag was changed, the guard tripped, or a person released it. */
function drawMarks(plot) {
  const { ctx, bbox } = plot;
  const [from, to] = [plot.scales.x.min, plot.scales.x.max];
  for (const { at, ink } of marks) {
    const seconds = Date.parse(at) / 1_000;
    if (seconds < from || seconds > to) continue;
    const x = Math.round(plot.valToPos(seconds, 'x', true));
    ctx.save();
    ctx.strokeStyle = colour(ink);
    ctx.lineWidth = 2;
    ctx.setLineDash(ink === 'bad' ? [] : [6, 4]);
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
    ctx.restore();
  }
}

/** A line needs two values. A single value is drawn as a point. */
const isLone = (plot, series) => known(plot.data[series]).length === 1;
const LABEL_PX = 6.5;
const HEIGHT = 190;

const FONT = '11px "Inter Variable", system-ui, sans-serif';

function axesOf(shown) {
  const axis = {
    stroke: colour('soft'),
    grid: { stroke: colour('line'), width: 1 },
    ticks: { show: false },
    font: FONT,
  };
  // As wide as the longest label, so that no number is cut.
  const size = (_, labels) => 14 + LABEL_PX * Math.max(4, ...(labels ?? []).map(({ length }) => length));
  return [
    { ...axis, space: 80, size: 28, values: (_, ticks) => ticks.map(clock) },
    { ...axis, size, values: (_, ticks) => ticks.map(shown) },
  ];
}

function optionsOf({ lines, shown }, { place, showLast }) {
  const inks = lines.map(({ ink }) => colour(ink));
  return {
    width: Math.max(place.clientWidth, 200),
    height: HEIGHT,
    legend: { live: true, markers: { width: 0, fill: (_, index) => inks[index - 1] } },
    cursor: { points: { size: 6 }, sync: { key: 'service' } },
    scales: { y: { range: (_, low, high) => [0, Math.max(high, low + 1, 1) * 1.1] } },
    axes: axesOf(shown),
    series: [
      { label: 'time', value: '{HH}:{mm}:{ss}' },
      ...lines.map(({ label }, index) => ({
        label,
        stroke: inks[index],
        width: 2,
        points: { show: isLone, size: 5 },
        spanGaps: true,
        value: (_, value) => (value === null || value === undefined ? '–' : shown(value)),
      })),
    ],
    hooks: { draw: [drawMarks], setCursor: [showLast] },
  };
}

const charts = [...document.querySelectorAll('figure[data-chart]')].map((figure) => {
  const chart = CHARTS[figure.dataset.chart];
  const place = figure.querySelector('.plot');
  let plot;
  const rows = () => [points.map(({ at }) => at), ...chart.lines.map(({ of }) => points.map(of))];
  /** The legend shows the last values unless the pointer is over the chart. */
  const showLast = () => {
    if (plot.cursor.idx === null || plot.cursor.left < 0) plot.setLegend({ idx: points.length - 1 });
  };
  const make = () => {
    plot?.destroy();
    plot = new uPlot(optionsOf(chart, { place, showLast }), rows(), place);
    showLast();
  };
  make();
  new ResizeObserver(() => plot.setSize({ width: Math.max(place.clientWidth, 200), height: HEIGHT })).observe(
    place,
  );
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', make);
  return {
    draw() {
      plot.setData(rows());
      showLast();
    },
  };
});

const state = document.querySelector('[data-stream]');
const say = (text) => {
  if (state !== null && state.textContent !== text) state.textContent = text;
};

function draw(more) {
  points = more;
  for (const chart of charts) chart.draw();
}

const samples = [];

function add(more) {
  samples.push(...more);
  samples.splice(0, Math.max(0, samples.length - KEPT));
  draw(joined(samples));
  document.documentElement.dataset.samples = String(samples.length);
}

function follow() {
  const stream = new EventSource(`/live/${encodeURIComponent(service)}`);
  stream.addEventListener('kept', ({ data }) => {
    samples.length = 0;
    add(JSON.parse(data));
    say('live');
  });
  stream.addEventListener('sample', ({ data }) => {
    add([JSON.parse(data)]);
    say('live');
  });
  stream.addEventListener('error', () => say('no connection, retrying'));
  addEventListener('pagehide', () => stream.close());
}

async function readHistory() {
  try {
    const answer = await fetch(`/services/${encodeURIComponent(service)}/history?hours=${hours}`, {
      headers: { 'x-refresh': '1' },
    });
    if (!answer.ok) throw new Error(String(answer.status));
    draw(fromHistory(await answer.json()));
    document.documentElement.dataset.samples = String(points.length);
    say('every minute');
  } catch {
    say('the journal does not answer, retrying');
  }
}

if (hours === '0') follow();
else {
  void readHistory();
  setInterval(readHistory, HISTORY_EVERY_MS);
}
