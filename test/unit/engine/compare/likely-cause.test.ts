import { expect, test } from 'vitest';
import { compare } from './compared.ts';

test.each([
  ['clock', '"2026-11-21T10:00:00"', '"2026-11-21T11:00:00"'],
  ['clock', '1795226191.5', '1795226195'],
  ['default_value', '""', '"x"'],
  ['default_value', '0', 'null'],
  ['default_value', '[]', 'null'],
  ['rounding', '0.333333', '0.33333'],
  ['cut_text', '"abc..."', '"abcdef"'],
  ['order', '[1,2]', '[2,1]'],
  ['encoding', '"caf\\u00e9"', '"cafe\\u0301"'],
  ['encoding', '"cafÃ©"', '"café"'],
  ['encoding', '"caf\\\\u00e9"', '"café"'],
  ['encoding', '"a\\r\\nb & c"', '"a\\nb & c"'],
  ['spelling_of_numbers', '"5"', '5'],
  ['spelling_of_numbers', '1e+16', '10000000000000000'],
  ['spelling_of_numbers', '-0.0', '0.0'],
  [undefined, '"one text"', '"another text"'],
  [undefined, '5', '7'],
])('the hint is %s for %s and %s', (hint, legacy, orchestrator) => {
  expect(compare(`{"a":${legacy}}`, `{"a":${orchestrator}}`).differences[0]?.hint).toBe(hint);
});

test.each([
  ['missing_backfill', '{"a":[{"x":1}]}', '{"a":[]}'],
  ['default_value', '{"a":null}', '{}'],
  ['default_value', '{}', '{"a":""}'],
  [undefined, '{}', '{"a":"x"}'],
])('the hint is %s for %s and %s', (hint, legacy, orchestrator) => {
  expect(compare(legacy, orchestrator).differences[0]?.hint).toBe(hint);
});
