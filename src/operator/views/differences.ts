import type { ShownSignature } from '../api/comparisons.ts';
import { hintWords } from '../words.ts';
import { aside, code, column, counts, mark, type Table, tableOf, times, words } from './document.ts';
import { spoken } from './figures.ts';

/** The differences of one service, grouped by cause. */
export function signaturesTable(service: string, signatures: readonly ShownSignature[]): Table {
  return tableOf(
    signatures,
    [
      words('where', ({ path, action }) => [code(path === '' ? '(whole answer)' : path), aside(action)]),
      words('what', ({ class: kind, shape, hint }) => [
        spoken(kind),
        aside(code(shape)),
        ...(hint === null ? [] : [aside(`looks like: ${hintWords(hint)}`)]),
      ]),
      counts('times', ({ count }) => count),
      counts('lanes', ({ lanes }) => lanes),
      times('last seen', ({ last_at: at }) => at),
    ],
    {
      empty: `No comparison of ${service} has found a difference`,
      advice: 'The last 5 s are not included.',
    },
  );
}

/** A comparison rule, from its definition or added by a person. */
interface ShownRule {
  readonly id: number | null;
  readonly kind: string;
  readonly path: string;
  readonly action: string;
  readonly hits: number;
  readonly reason: string;
  readonly owner: string;
  readonly expires?: string;
  readonly expired: boolean;
}

/** The rules of one service that are in force. */
export function rulesTable(rules: readonly ShownRule[]): Table {
  return tableOf(
    rules,
    [
      words('rule', ({ id, kind, path }) => [
        code(`${kind} ${path}`),
        aside(id === null ? 'of the definition' : `added, number ${id}`),
      ]),
      column('action', ({ action }) => code(action)),
      counts('accepted', ({ hits }) => hits),
      words('why', ({ reason, owner }) => [reason, aside(owner)]),
      column('until', ({ expires = 'no expiry', expired }) =>
        expired ? mark(`expired ${expires}`, 'warn') : expires,
      ),
    ],
    { empty: 'No rules', advice: 'Every difference counts.' },
  );
}
