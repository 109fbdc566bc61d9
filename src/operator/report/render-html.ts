import { createHash } from 'node:crypto';
import {
  type Block,
  type Chart,
  type ChartMark,
  MARK_SIGNS,
  type Section,
  type Table,
} from '../views/document.ts';
import { printedFigure } from '../views/figures.ts';
import { cellHtml, figureHtml, html, Html } from '../views/html.ts';
import type { ReportDocument, ServicePart } from './report-document.ts';
import { REPORT_STYLE } from './report-style.ts';

/** Nothing is loaded and no script runs. Only the page's own style sheet and typeface are allowed. */
export const REPORT_POLICY = `default-src 'none'; font-src data:; style-src 'sha256-${createHash('sha256').update(REPORT_STYLE).digest('base64')}'`;

/** Kept as one text, because the digest covers every character between the tags. */
const STYLE = new Html(`<style>${REPORT_STYLE}</style>`);

/** A report as one HTML file without any other file. It is readable on a phone, in dark mode and in print. */
export function renderHtml(report: ReportDocument): string {
  const { title, subtitle, verdict, services, footnote } = report;
  const body = html`<nav class="overview" aria-label="Services">${services.map(card)}</nav>
    ${services.map(servicePart)}
    <footer><p>${footnote}</p></footer>`;
  return pageHtml({ kind: 'daily report', title, subtitle, verdict }, body);
}

/** The head of a document that is read without the desk. */
export interface PageHead extends Pick<ReportDocument, 'title' | 'subtitle' | 'verdict'> {
  /** What the document is, shown in small print above its title. */
  readonly kind: string;
}

/** A document as one HTML file, with the style of the reports. */
export function pageHtml({ kind, title, subtitle, verdict }: PageHead, body: Html): string {
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="color-scheme" content="light dark" />
        <meta http-equiv="Content-Security-Policy" content="${REPORT_POLICY}" />
        <title>Crossfade, ${title}</title>
        ${STYLE}
      </head>
      <body>
        <main>
          <header class="top">
            <p class="kicker">Crossfade · ${kind}</p>
            <h1>${title}</h1>
            <p class="soft">${cellHtml(subtitle)}</p>
            <p class="verdict ${verdict.tone}">${verdict.mark}</p>
          </header>
          ${body}
        </main>
      </body>
    </html> `.toString();
}

/** The summary card of a service. */
function card({ name, phases, verdict, highlights, next, standing, story }: ServicePart): Html {
  const present = phases.find(({ state }) => state === 'present')?.name ?? '';
  return html`<a class="card" href="#${name}">
    <span class="card-head"
      ><strong>${name}</strong><span class="mark ${verdict.tone}">${verdict.mark}</span></span
    >
    <span class="track" role="img" aria-label="stage ${present}"
      >${phases.map(({ state }) => html`<i class="${state}"></i>`)}</span
    >
    <span class="phase">${standing}</span>
    <span class="story">${story}</span>
    <span class="numbers"
      >${highlights.map(({ label, cell }) => html`<span><b>${cellHtml(cell)}</b><small>${label}</small></span>`)}</span
    >
    <span class="next ${next.tone}">${cellHtml(next.cell)}</span>
  </a>`;
}

function servicePart({ name, verdict, next, sections, standing }: ServicePart): Html {
  return html`<section class="service" id="${name}">
    <header>
      <h2>${name}</h2>
      <span class="pill">${standing}</span><span class="mark ${verdict.tone}">${verdict.mark}</span>
    </header>
    <p class="next ${next.tone}"><b>Next</b> ${cellHtml(next.cell)}</p>
    ${sections.map((part) => sectionHtml(part, html`<h3>${part.title}</h3>`))}
  </section>`;
}

/** @param heading of the level that follows from where the section is */
export function sectionHtml({ blocks }: Section, heading: Html): Html {
  return html`<section class="part">${heading} ${blocks.map(blockHtml)}</section>`;
}

function blockHtml(block: Block): Html {
  switch (block.kind) {
    case 'facts':
      return html`<dl>
        ${block.facts.map(
          ({ label, cell }) =>
            html`<div>
              <dt>${label}</dt>
              <dd>${cellHtml(cell)}</dd>
            </div>`,
        )}
      </dl>`;
    case 'table':
      return tableHtml(block);
    case 'charts':
      return html`<div class="charts">${block.charts.map(renderChart)}</div>`;
    case 'note':
      return html`<p class="note ${block.tone}">${cellHtml(block.cell)}</p>`;
    case 'remark':
      return html`<p class="remark">${cellHtml(block.cell)}</p>`;
    case 'more':
      return html`<details>
        <summary>${block.title}</summary>
        ${block.blocks.map(blockHtml)}
      </details>`;
  }
}

function tableHtml({ columns, rows, empty }: Table): Html {
  if (rows.length === 0) return html`<p class="empty">${empty}</p>`;
  const kind = (index: number): string => (columns[index]?.isNumber === true ? 'number' : 'text');
  const head = columns.map(
    (column, index) => html`<th scope="col" class="${kind(index)}">${column.head}</th>`,
  );
  const body = rows.map(
    (row) =>
      html`<tr>
        ${row.map((cell, index) => html`<td class="${kind(index)}" data-head="${columns[index]?.head ?? ''}"><span>${cellHtml(cell)}</span></td>`)}
      </tr>`,
  );
  return html`<table>
    <thead>
      <tr>
        ${head}
      </tr>
    </thead>
    <tbody>
      ${body}
    </tbody>
  </table>`;
}

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
function renderChart({ title, total, tone, unit, labels, values, empty, marks }: Chart): Html {
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
