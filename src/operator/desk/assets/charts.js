// Live charts of one service: the kept samples first, then one every two seconds.
'use strict';

const figures = document.querySelectorAll('figure[data-chart]');
const service = document.querySelector('[data-service]')?.dataset.service;
const KEPT = 450;
const SECONDS = 2;

/** A colour of the style sheet as the canvas takes it: it knows no light-dark(). */
function colour(name) {
  const probe = document.createElement('i');
  probe.hidden = true;
  probe.className = `ink-${name}`;
  document.body.append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
}

const clock = (seconds) => new Date(seconds * 1_000).toTimeString().slice(0, 8);

const perSecond = (value) => value / SECONDS;

/** What each chart draws: how a sample becomes a value, and how its line looks. Dashes tell lines apart without colour. */
const CHARTS = {
  reads: {
    unit: '/s',
    lines: [
      { label: 'legacy', of: (s) => perSecond(s.reads.legacy), ink: 'legacy' },
      {
        label: 'orchestrator',
        of: (s) => perSecond(s.reads.orchestrator),
        ink: 'orchestrator',
        dash: [6, 3],
      },
      { label: 'writes', of: (s) => perSecond(s.writes), ink: 'soft', dash: [2, 3] },
    ],
  },
  latency: {
    unit: ' ms',
    lines: [
      { label: 'legacy', of: (s) => s.p95.legacy, ink: 'legacy' },
      { label: 'orchestrator', of: (s) => s.p95.orchestrator, ink: 'orchestrator', dash: [6, 3] },
    ],
  },
  added: {
    unit: ' ms',
    lines: [
      { label: 'added', of: (s) => s.addedP95, ink: 'ink' },
      { label: 'delivery lag', of: (s) => s.lagMs, ink: 'soft', dash: [2, 3] },
    ],
  },
  differing: {
    unit: '',
    lines: [
      { label: 'equal', of: (s) => s.match, ink: 'soft' },
      { label: 'differ', of: (s) => s.mismatch, ink: 'bad', dash: [6, 3] },
    ],
  },
};

/** A line needs two values: one alone is a point, or nothing would be seen of it. */
const isLone = (plot, series) => plot.data[series].filter((value) => value !== null).length === 1;

const samples = [];

const charts = [...figures].map((figure) => {
  const { lines, unit } = CHARTS[figure.dataset.chart];
  const place = figure.querySelector('.plot');
  let plot;
  const make = () => {
    plot?.destroy();
    const [grid, soft] = [colour('line'), colour('soft')];
    const font = '11px "Inter Variable", system-ui, sans-serif';
    const axis = { stroke: soft, grid: { stroke: grid, width: 1 }, ticks: { show: false }, font };
    plot = new uPlot(
      {
        width: Math.max(place.clientWidth, 200),
        height: 190,
        legend: { live: true },
        cursor: { points: { size: 6 } },
        scales: { y: { range: (_, low, high) => [0, Math.max(high, low + 1, 1) * 1.1] } },
        axes: [
          { ...axis, space: 80, values: (_, ticks) => ticks.map(clock) },
          { ...axis, size: 52, values: (_, ticks) => ticks.map((tick) => `${tick}${unit}`) },
        ],
        series: [
          { label: 'time', value: '{HH}:{mm}:{ss}' },
          ...lines.map(({ label, ink: name, dash }) => ({
            label,
            stroke: colour(name),
            width: 1.75,
            points: { show: isLone, size: 5 },
            spanGaps: true,
            ...(dash && { dash }),
            value: (_, value) => (value === null ? '–' : `${Math.round(value * 10) / 10}${unit}`),
          })),
        ],
      },
      rows(),
      place,
    );
  };
  const rows = () => [samples.map((s) => s.atMs / 1_000), ...lines.map(({ of }) => samples.map(of))];
  make();
  new ResizeObserver(() => plot.setSize({ width: Math.max(place.clientWidth, 200), height: 190 })).observe(
    place,
  );
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', make);
  return { draw: () => plot.setData(rows()) };
});

const state = document.querySelector('[data-stream]');
const say = (text) => {
  if (state !== null && state.textContent !== text) state.textContent = text;
};

function add(more) {
  samples.push(...more);
  samples.splice(0, Math.max(0, samples.length - KEPT));
  for (const { draw } of charts) draw();
  document.documentElement.dataset.samples = String(samples.length);
}

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
stream.addEventListener('error', () => say('no connection, trying again'));
addEventListener('pagehide', () => stream.close());
