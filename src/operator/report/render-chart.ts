import { MARK_SIGNS, type Chart, type ChartMark, type Figure } from './document.ts';
import { printedFigure } from './figures.ts';
import { html, type Html } from '../desk/html.ts';

/** In units of the picture. Text of 12 stays readable on a phone, where the picture is scaled to 0.9. */
const WIDTH = 360;
const HEIGHT = 132;
const LEFT = 40;
const RIGHT = 2;
const TOP = 8;
const BOTTOM = 20;
const PLOT = { width: WIDTH - LEFT - RIGHT, height: HEIGHT - TOP - BOTTOM };
/** Share of its slot that a bar fills. */
const BAR = 0.72;
const LEAST_BAR = 1.5;
/** Hours between labels: four labels a day. */
const LABEL_EVERY = 6;
const LINES = 2;

/** Bars as inline SVG, without scripts or style attributes, and readable for screen readers. */
export function renderChart({ title, total, tone, unit, labels, values, empty, marks }: Chart): Html {
  const most = Math.max(0, ...values.map((value) => value ?? 0));
  const top = niceTop(most);
  const caption = total.map((piece) =>
    typeof piece === 'object' && 'unit' in piece ? figureHtml(piece) : null,
  );
  return html`<figure class="chart ${tone}">
    <figcaption><span>${title}</span> ${caption}</figcaption>
    <svg
      viewBox="0 0 ${WIDTH} ${HEIGHT}"
      role="img"
      aria-label="${title}: ${most === 0 ? empty : `at most ${printedFigure({ value: most, unit })}`}"
    >
      ${gridLines(top, unit)}
      ${labels.map((label, index) => (index % LABEL_EVERY === 0 ? hourLabel(label, index, labels.length) : null))}
      ${values.map((value, index) => bar({ value, label: labels[index] ?? '', index }, { top, count: values.length, unit }))}
      ${marks.map(markLine)}
      ${most === 0 ? html`<text class="none" x="${LEFT + PLOT.width / 2}" y="${TOP + PLOT.height / 2}">${empty}</text>` : null}
    </svg>
  </figure>`;
}

/** A line over the whole height, with a sign above it, at the time of the event. */
function markLine({ kind, place, what }: ChartMark): Html {
  const x = round(LEFT + PLOT.width * place);
  return html`<g class="mark ${kind}"
    ><line x1="${x}" x2="${x}" y1="${TOP}" y2="${TOP + PLOT.height}" /><text x="${x}" y="${TOP}"
      >${MARK_SIGNS[kind]}</text
    ><title>${what}</title></g
  >`;
}

/** A printed number, with its exact value in an attribute. */
export function figureHtml(figure: Figure): Html {
  const printed = printedFigure(figure);
  return figure.value === null
    ? html`<span class="none">${printed}</span>`
    : html`<data value="${figure.value}">${printed}</data>`;
}

/** The top of an axis: slightly above the highest bar, and its half is a round number. */
const TOPS = [1, 1.2, 1.6, 2, 3, 4, 5, 6, 8, 10] as const;

function niceTop(most: number): number {
  if (most <= 2) return 2;
  const power = 10 ** Math.floor(Math.log10(most));
  return (TOPS.find((step) => step * power >= most) ?? 10) * power;
}

function gridLines(top: number, unit: Chart['unit']): Html[] {
  return Array.from({ length: LINES + 1 }, (_, line) => {
    const y = round(TOP + PLOT.height * (1 - line / LINES));
    const label = axisLabel((top * line) / LINES);
    const what = line === LINES && unit === 'ms' ? `${label} ms` : label;
    return html`<line class="grid" x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${y}" y2="${y}" /><text
        class="axis y"
        x="${LEFT - 5}"
        y="${y + 4}"
        >${what}</text
      >`;
  });
}

function axisLabel(value: number): string {
  if (value >= 1_000_000) return `${round(value / 1_000_000)}M`;
  return value >= 1_000 ? `${round(value / 1_000)}k` : String(round(value));
}

function hourLabel(label: string, index: number, count: number): Html {
  const x = round(LEFT + (PLOT.width * (index + 0.5)) / count);
  return html`<text class="axis x" x="${x}" y="${HEIGHT - 5}">${label}</text>`;
}

interface Bar {
  readonly value: number | null;
  readonly label: string;
  readonly index: number;
}

function bar(
  { value, label, index }: Bar,
  { top, count, unit }: { readonly top: number; readonly count: number; readonly unit: Chart['unit'] },
): Html | null {
  if (value === null || value === 0) return null;
  const place = PLOT.width / count;
  const height = Math.max(LEAST_BAR, (value / top) * PLOT.height);
  const [x, y] = [LEFT + place * (index + (1 - BAR) / 2), TOP + PLOT.height - height];
  return html`<rect
    x="${round(x)}"
    y="${round(y)}"
    width="${round(place * BAR)}"
    height="${round(height)}"
    rx="1.5"
    ><title>${label}: ${printedFigure({ value, unit })}</title></rect
  >`;
}

const round = (value: number): number => Math.round(value * 100) / 100;
