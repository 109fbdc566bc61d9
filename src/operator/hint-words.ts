import type { Hint } from '../domain/comparison.ts';

/**
 * Where a person should look first. Only seeded lanes are compared. If the orchestrator lacks an item, a copy left it out, it was
 * removed there, or it was written to legacy past the proxy. The values do not show which.
 */
const HINT_WORDS: Readonly<Record<Hint, string>> = {
  clock: 'different clock or time zone',
  default_value: 'a default value',
  rounding: 'rounding',
  missing_backfill: 'never copied, removed on the orchestrator, or written past the proxy',
  order: 'different order',
  encoding: 'different encoding',
  cut_text: 'truncated text',
  spelling_of_numbers: 'different spelling of numbers',
};

/** A hint in words. An unknown hint, stored by a newer replica, is shown as it is. */
export function hintWords(hint: string): string {
  return HINT_WORDS[hint as Hint] ?? hint.replaceAll('_', ' ');
}
