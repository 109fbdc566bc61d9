import { expect, test } from 'vitest';
import { LIMITS } from '../../../src/orchestrator/wire/limits.ts';
import { mayGrow, storableJson } from '../../../src/orchestrator/wire/unstorable-text.ts';

const stored = (text: string) => storableJson({ text, suspicious: mayGrow(text) }, 'content', true);
const FAR = '1e100000';

test.each([
  ['1e400', '{"n":1e400}'],
  ['as many as a content may have digits', `{"n":[${Array(10).fill(FAR).join()}]}`],
  ['any number of them in strings', JSON.stringify({ text: `"${`${FAR}\\" `.repeat(1_000)}` })],
  ['many near exponents', `{"n":[${Array(10_000).fill('1e99').join()}]}`],
])('%s is stored as it is', (_what, text) => {
  expect(stored(text).json.text).toBe(text);
});

test.each([
  ['far', `{"n":[${Array(11).fill(FAR).join()}]}`],
  ['far below one', `{"n":[${Array(11).fill('-1.5E-100000').join()}]}`],
  ['behind a string', `{"t":"\\"","n":[${Array(11).fill('1e+100000').join()}]}`],
  ['endlessly far', `{"n":1e${'9'.repeat(400)}}`],
  ['many, not so far', `{"n":[${Array(2_000).fill('1e999').join()}]}`],
])('exponents that stand for more digits than a content may have are refused: %s', (_what, text) => {
  expect(() => stored(text)).toThrow(
    `content must not contain numbers whose exponents stand for more than ${LIMITS.contentBytes}`,
  );
});

test('an id that looks like a number with an exponent is checked fast', () => {
  expect(mayGrow('{"request_id":"3e123456-0000-4000-8000-00000000e100","n":[1e99, -2.5e10]}')).toBe(false);
});
