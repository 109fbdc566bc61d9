import { expect, test } from 'vitest';
import { terminalText } from '../../../src/cli/terminal-text.ts';

test.each([
  ['a right-to-left override', 'owner\u202etxt.exe', String.raw`owner\u202etxt.exe`],
  ['a line separator', 'one\u2028two', String.raw`one\u2028two`],
  ['an isolate and its end', '\u2066x\u2069', String.raw`\u2066x\u2069`],
  ['a control of C1', '\u009b31m', String.raw`\u009b31m`],
])('%s is written as an escape', (_what, text, shown) => {
  expect(terminalText(text)).toBe(shown);
});

test('in JSON the escape means the same character', () => {
  const value = { owner: 'a\u202eb\u2029c' };
  const shown = terminalText(JSON.stringify(value));
  expect(shown).not.toContain('\u202e');
  expect(JSON.parse(shown)).toEqual(value);
});

test('words, line ends, colours and other scripts stay unchanged', () => {
  const text = '\u001b[31mred\u001b[0m\n\tعربي 日本 é 👩‍👩‍👧';
  expect(terminalText(text)).toBe(text);
});
