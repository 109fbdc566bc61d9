import { html, type Html, type Shown } from '../html.ts';

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
