import { escape } from 'html-escaper';

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
