import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { parseEncryptionKeys } from '../../../../src/orchestrator/encryption/keys.ts';

const key = (id: string): string => `${id}:${randomBytes(32).toString('base64')}`;
const [OLD, NEW] = [key('2025-01'), key('2026-01')];

test('keys are separated by lines or commas, newest first, with comments', () => {
  const ids = (text: string) => parseEncryptionKeys(text).map(({ id }) => id);
  expect(ids(`${NEW},${OLD}`)).toEqual(['2026-01', '2025-01']);
  expect(ids(`# ours\n\n${NEW}\n${OLD} # until March\n`)).toEqual(['2026-01', '2025-01']);
  expect(ids('')).toEqual([]);
});

test('derived keys differ from each other, and are the same for the same key', () => {
  const [one, again] = [parseEncryptionKeys(OLD), parseEncryptionKeys(OLD)];
  expect(one).toEqual(again);
  const derived = one.flatMap(({ content, words, equality }) => [content, words, equality]);
  expect(new Set(derived.map((bytes) => bytes.toString('hex'))).size).toBe(3);
  expect(derived.every((bytes) => !OLD.includes(bytes.toString('base64')))).toBe(true);
});

test.each([
  ['old', 'Line 1'],
  [`${NEW}\nold:c2hvcnQ=`, 'Line 2'],
  [`a b:${randomBytes(32).toString('base64')}`, 'Line 1'],
  [`${NEW},${NEW}`, 'the same id'],
])('an invalid key is named by its line and not quoted: %#', (text, complaint) => {
  expect(() => parseEncryptionKeys(text)).toThrow(complaint);
  try {
    parseEncryptionKeys(text);
  } catch (error) {
    for (const line of text.split(/[\n,]/)) expect(String(error)).not.toContain(line);
  }
});
