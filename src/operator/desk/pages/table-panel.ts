import {
  type Block,
  type Cell,
  type Column,
  type Fact,
  type Mark,
  type Section,
  type Table as ViewTable,
  TONE_SIGNS,
} from '../../views/document.ts';
import { cellHtml, html, type Html, type Shown } from '../../views/html.ts';
import { isTerm, type Term, term } from '../glossary.ts';
import { emptyState } from './layout.ts';

/** A column of numbers or of texts. An unseen head is for screen readers only. */
interface Head {
  readonly name: string;
  readonly kind: 'number' | 'text' | 'words' | 'nowrap' | 'unseen';
  /** Shown in the head of the column. @defaultValue the name */
  readonly shown?: Shown;
}

/** A plain name is a column of numbers. */
type HeadLike = string | Head;

export const text = (name: string): Head => ({ name, kind: 'text' });
/** Long words are broken. */
export const words = (name: string): Head => ({ name, kind: 'words' });
export const nowrap = (name: string): Head => ({ name, kind: 'nowrap' });
export const unseen = (name: string): Head => ({ name, kind: 'unseen' });

/** A phone shows up to this many columns. */
const FITTING = 3;

interface Columns {
  /** The first names the row. */
  readonly heads: readonly HeadLike[];
  readonly rows: readonly (readonly Shown[])[];
}

interface Table extends Columns {
  readonly id: string;
  readonly title: Shown;
  readonly note?: Shown;
}

/** A panel with a small table. */
export function tablePanel({ id, title, note, ...columns }: Table): Html {
  return html`<section class="panel" aria-labelledby="${id}">
    <h2 id="${id}">${title}</h2>
    <div data-live="${id}">
      ${note !== undefined && html`<p class="help">${note}</p>`} ${table(id, columns)}
    </div>
  </section>`;
}

/** A table. On a phone it becomes a list of cards in which each cell names its column. @param labelledBy id of its title */
export function table(labelledBy: string, { heads, rows }: Columns): Html {
  const [first, ...others] = heads.map((head, index) =>
    typeof head === 'string'
      ? { name: head, kind: index === 0 ? ('text' as const) : ('number' as const) }
      : head,
  );
  const cells = ([name, ...values]: readonly Shown[]): Html =>
    html`<tr>
      <th scope="row" data-head="${first?.name}" class="${first?.kind}"><div>${name}</div></th>
      ${values.map((value, index) => cell(others[index], value))}
    </tr>`;
  return html`<div class="table-frame" tabindex="0" role="group" aria-labelledby="${labelledBy}">
    <table class="${heads.length > FITTING && 'cards'}">
      <thead>
        <tr>
          ${[first, ...others].map(headCell)}
        </tr>
      </thead>
      <tbody>
        ${rows.map(cells)}
      </tbody>
    </table>
  </div>`;
}

function headCell(head: Head | undefined): Html {
  if (head?.kind === 'unseen') return html`<th scope="col"><span class="unseen">${head.name}</span></th>`;
  const name = head?.shown ?? head?.name;
  return html`<th scope="col" class="${head?.kind === 'number' && 'number'}">${name}</th>`;
}

function cell(head: Head | undefined, value: Shown): Html {
  if (head?.kind === 'unseen') return html`<td data-head=""><div>${value}</div></td>`;
  return html`<td class="${head?.kind}" data-head="${head?.name}"><div>${value}</div></td>`;
}

/** A column that only the desk has, such as forms. Its cells are in the order of the rows. */
interface DeedColumn {
  readonly name: string;
  readonly cells: readonly Shown[];
}

/** A section of a view as a panel, or the words for its empty table. */
export function sectionPanel(id: string, { title, blocks }: Section, deeds?: DeedColumn): Html {
  const [only] = blocks;
  if (blocks.length === 1 && only?.kind === 'table' && only.rows.length === 0)
    return emptyState(only.empty, only.advice);
  return html`<section class="panel" aria-labelledby="${id}">
    <h2 id="${id}">${title}</h2>
    ${blocksHtml(id, blocks, deeds)}
  </section>`;
}

/** The same, renewed while the page is open. It has no forms. */
export function livePanel(id: string, { title, blocks }: Section): Html {
  return html`<section class="panel" aria-labelledby="${id}">
    <h2 id="${id}">${title}</h2>
    <div data-live="${id}">${blocksHtml(id, blocks)}</div>
  </section>`;
}

/** @param id of the title */
export function blocksHtml(id: string, blocks: readonly Block[], deeds?: DeedColumn): Html {
  return html`${blocks.map((block) => blockHtml(id, block, deeds))}`;
}

function blockHtml(id: string, block: Block, deeds: DeedColumn | undefined): Html {
  switch (block.kind) {
    case 'facts':
      return html`<dl class="figures">${block.facts.map(factHtml)}</dl>`;
    case 'table':
      return block.rows.length === 0 ? html`<p class="help">${block.empty}</p>` : viewTable(id, block, deeds);
    case 'note':
      return html`<p class="notice ${block.tone}">${TONE_SIGNS[block.tone]} ${shown(block.cell)}</p>`;
    case 'remark':
      return html`<p class="help">${shown(block.cell)}</p>`;
    case 'more':
      return html`<details class="fold">
        <summary>${block.title}</summary>
        ${blocksHtml(id, block.blocks, deeds)}
      </details>`;
    case 'charts':
      // The desk draws charts of its own.
      return html``;
  }
}

/** @param labelledBy id of its title */
export function viewTable(labelledBy: string, { columns, rows }: ViewTable, deeds?: DeedColumn): Html {
  return table(labelledBy, {
    heads: [...columns.map(headOf), ...(deeds === undefined ? [] : [unseen(deeds.name)])],
    rows: rows.map((row, index) => [...row.map(shown), ...(deeds === undefined ? [] : [deeds.cells[index]])]),
  });
}

/** The rows of a view, each as a card with its forms. The first column is the title. */
export function cards({ columns, rows }: ViewTable, forms: readonly Shown[]): Html {
  const [, ...heads] = columns.map(headOf);
  return html`<div class="cards">
    ${rows.map(
      ([title = [], ...cells], row) =>
        html`<article class="panel card" aria-labelledby="card-${row}">
          <h2 id="card-${row}">${shown(title)}</h2>
          <dl>
            ${cells.map((cell, index) => cell.length > 0 && factHtml({ label: heads[index]?.name ?? '', cell }))}
          </dl>
          <div class="deeds">${forms[row]}</div>
        </article>`,
    )}
  </div>`;
}

/** A fact of a list, its label with the meaning of the term. */
export function factHtml({ label, cell }: Fact): Html {
  const name = capital(label);
  return html`<div>
    <dt>${TERMS_OF_FACTS[label] === undefined ? name : term(TERMS_OF_FACTS[label], name)}</dt>
    <dd>${shown(cell)}</dd>
  </div>`;
}

/** Labels that need an explanation. */
const TERMS_OF_FACTS: Readonly<Record<string, Term>> = { lanes: 'lane', 'dead letters': 'dead letter' };

function headOf({ head, isNumber, isLong }: Column): Head {
  const name = capital(head);
  const kind = isNumber === true ? 'number' : isLong === true ? 'words' : 'text';
  return { name, kind, ...(isTerm(head) && { shown: term(head, name) }) };
}

export const capital = (words: string): string => words.charAt(0).toUpperCase() + words.slice(1);

/** A mark with its sign, because colours alone are not enough. */
export function stateHtml({ mark, tone }: Mark): Html {
  if (tone === 'plain') return html`${mark}`;
  return html`<span class="state ${tone}"><span aria-hidden="true">${TONE_SIGNS[tone]}</span> ${mark}</span>`;
}

export const shown = (cell: Cell): Html => cellHtml(cell, stateHtml);
