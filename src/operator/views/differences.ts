import type { ShownSignature } from '../api/comparisons.ts';
import { hintWords } from '../words.ts';
import { aside, code, counts, type Table, tableOf, times, words } from './document.ts';
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
