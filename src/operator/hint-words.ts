import type { Hint } from '../domain/comparison.ts';

/**
 * Where a person looks first. Lanes are compared only once they are seeded: what the orchestrator lacks then was left out by a copy,
 * removed there, or written to legacy past the proxy, and none of them can be told from the values.
 */
const HINT_WORDS: Readonly<Record<Hint, string>> = {
  clock: 'another clock or time zone',
  default_value: 'a default value',
  rounding: 'rounding',
  missing_backfill: 'never copied, removed there, or written past the proxy',
  order: 'another order',
  encoding: 'another encoding',
  cut_text: 'a text that was cut',
  spelling_of_numbers: 'numbers spelled in another way',
};

/** A hint in words; one that a newer replica stored as it is. */
export function hintWords(hint: string): string {
  return HINT_WORDS[hint as Hint] ?? hint.replaceAll('_', ' ');
}
