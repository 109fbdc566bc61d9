import { createHash } from 'node:crypto';
import type { Block, Cell, Piece, ReportDocument, ServicePart, Table } from './document.ts';
import { html, Html } from '../desk/html.ts';
import { figureHtml, renderChart } from './render-chart.ts';
import { REPORT_STYLE } from './report-style.ts';

/** Nothing is loaded and no script runs. Only the page's own style sheet and typeface are allowed. */
export const REPORT_POLICY = `default-src 'none'; font-src data:; style-src 'sha256-${createHash('sha256').update(REPORT_STYLE).digest('base64')}'`;

/** Kept as one text, because the digest covers every character between the tags. */
const STYLE = new Html(`<style>${REPORT_STYLE}</style>`);

/** A report as one HTML file without any other file. It is readable on a phone, in dark mode and in print. */
export function renderHtml(report: ReportDocument): string {
  const { title, subtitle, verdict, services, footnote } = report;
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
            <p class="kicker">Crossfade · daily report</p>
            <h1>${title}</h1>
            <p class="soft">${cellHtml(subtitle)}</p>
            <p class="verdict ${verdict.tone}">${verdict.mark}</p>
          </header>
          <nav class="overview" aria-label="Services">${services.map(card)}</nav>
          ${services.map(servicePart)}
          <footer><p>${footnote}</p></footer>
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
    ${sections.map(
      ({ title, blocks }) =>
        html`<section class="part">
          <h3>${title}</h3>
          ${blocks.map(blockHtml)}
        </section>`,
    )}
  </section>`;
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

const cellHtml = (cell: Cell): Html => html`${cell.map(pieceHtml)}`;

function pieceHtml(piece: Piece): Html {
  if (typeof piece === 'string') return html`${piece}`;
  if ('code' in piece) return html`<code>${piece.code}</code>`;
  if ('link' in piece) return html`<a href="${piece.href}">${piece.link}</a>`;
  return 'mark' in piece ? html`<span class="mark ${piece.tone}">${piece.mark}</span>` : figureHtml(piece);
}
