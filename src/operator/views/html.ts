import { escape } from 'html-escaper';
import type { Cell, Figure, Link, Mark, Piece } from './document.ts';
import { NOTHING, printedFigure } from './figures.ts';

/** Text that is already HTML. Only {@link html} makes it. */
export class Html {
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  toString(): string {
    return this.#text;
  }
}

/** What a template shows. HTML stays as it is, and other values are escaped. Null, undefined and false show nothing. */
export type Shown = Html | string | number | null | undefined | false | readonly Shown[];

/** A template that escapes its values. Attribute values must be in double quotes. */
export function html(parts: TemplateStringsArray, ...values: readonly Shown[]): Html {
  return new Html(parts.reduce((text, part, index) => text + textOf(values[index - 1]) + part));
}

function textOf(value: Shown): string {
  if (value === null || value === undefined || value === false) return '';
  if (value instanceof Html) return value.toString();
  if (typeof value === 'object') return value.map(textOf).join('');
  return escape(String(value));
}

type MarkHtml = (mark: Mark) => Html;

const plainMark: MarkHtml = ({ mark, tone }) => html`<span class="mark ${tone}">${mark}</span>`;

/** A cell on a page. Instants are filled in afterwards, in the zone of the reader. */
export function cellHtml(cell: Cell, markHtml: MarkHtml = plainMark): Html {
  const pieceHtml = (piece: Piece): Html => {
    if (typeof piece === 'string') return html`${piece}`;
    if ('code' in piece) return html`<code>${piece.code}</code>`;
    if ('link' in piece) return linkHtml(piece);
    if ('at' in piece) return when(piece.at);
    if ('aside' in piece) return html` <span class="note">${piece.aside.map(pieceHtml)}</span>`;
    return 'mark' in piece ? markHtml(piece) : figureHtml(piece);
  };
  return html`${cell.map(pieceHtml)}`;
}

/** Another site does not learn on which page the link was. */
function linkHtml({ link, href }: Link): Html {
  return href.startsWith('http')
    ? html`<a href="${href}" rel="noreferrer">${link}</a>`
    : html`<a href="${href}">${link}</a>`;
}

/** A printed number, with its exact value in an attribute. */
export function figureHtml(figure: Figure): Html {
  const printed = printedFigure(figure);
  return figure.value === null
    ? html`<span class="none">${printed}</span>`
    : html`<data value="${figure.value}">${printed}</data>`;
}

/** An ISO-8601 instant. */
export function when(iso: string | null | undefined): Html {
  return iso === null || iso === undefined ? html`${NOTHING}` : html`<time datetime="${iso}"></time>`;
}
