import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { dumpPythonJson, dumpPythonJsonFile, loadPythonJson } from '../../../src/sandbox/python-json.ts';
import { pythonRepr, pythonStr } from '../../../src/sandbox/python-text.ts';
import { createNaiveLocalTime } from '../../../src/sandbox/python-time.ts';
import { PythonDict, PythonError, PythonFloat } from '../../../src/sandbox/python-values.ts';
import type { PythonValue } from '../../../src/sandbox/python-values.ts';

interface Case {
  readonly hex: string;
  readonly error?: string;
  readonly dumps?: string;
  readonly file?: string;
  readonly fileError?: string;
}

const { cases } = JSON.parse(
  readFileSync(new URL('../../fixtures/python-json.json', import.meta.url), 'utf8'),
) as { cases: readonly Case[] };

function outcome(hex: string): Case {
  let value: PythonValue;
  try {
    value = loadPythonJson(Buffer.from(hex, 'hex'));
  } catch (error) {
    if (!(error instanceof PythonError)) throw error;
    return { hex, error: error.message };
  }
  const { text, error } = dumpPythonJsonFile(value);
  const read = { hex, dumps: dumpPythonJson(value), file: text };
  return error === undefined ? read : { ...read, fileError: error.message };
}

test('reading, refusing and printing JSON agrees with Python byte for byte', () => {
  expect(cases.length).toBeGreaterThan(300);
  expect(cases.map(({ hex }) => outcome(hex))).toEqual(cases);
});

test('the cases hold refusals, values and files that a lone surrogate cuts', () => {
  expect(cases.filter(({ error }) => error !== undefined).length).toBeGreaterThan(100);
  expect(cases.filter(({ dumps }) => dumps !== undefined).length).toBeGreaterThan(50);
  expect(cases.filter(({ fileError }) => fileError !== undefined).length).toBeGreaterThan(3);
});

test('str and repr print as Python does', () => {
  const printed = new Map<PythonValue, string>([
    [null, 'None'],
    [true, 'True'],
    [12n ** 30n, String(12n ** 30n)],
    [new PythonFloat(1000), '1000.0'],
    [new PythonFloat(Number.NaN), 'nan'],
    [[1, "it's", 'say "x"', 'tab\t', 'ñ\u0000\u2028'], `[1, "it's", 'say "x"', 'tab\\t', 'ñ\\x00\\u2028']`],
    [new Map([['k', ['\'"']]]), `{'k': ['\\'"']}`],
  ]);
  for (const [value, text] of printed) expect(pythonRepr(value)).toBe(text);
  expect(pythonStr('plain')).toBe('plain');
});

test('a dict tells 42 from "42" and takes 1, 1.0 and true for one key', () => {
  const dict = new PythonDict<string>();
  dict.set(42, 'int');
  dict.set('42', 'str');
  dict.set(true, 'bool');
  dict.set(new PythonFloat(1), 'float');
  dict.set(null, 'none');
  expect([...dict]).toEqual([
    ['42', 'int'],
    ['42', 'str'],
    ['true', 'float'],
    ['null', 'none'],
  ]);
  expect(() => dict.get([])).toThrow("unhashable type: 'list'");
});

test('naive local time is that of its zone and leaves zero microseconds out', () => {
  const ms = Date.UTC(2026, 0, 15, 12, 0, 0);
  expect(createNaiveLocalTime('UTC')(ms)).toBe('2026-01-15T12:00:00');
  expect(createNaiveLocalTime('America/New_York')(ms + 0.25)).toBe('2026-01-15T07:00:00.000250');
  const kathmandu = createNaiveLocalTime('Asia/Kathmandu');
  expect([kathmandu(ms + 1), kathmandu(ms + 3_600_000)]).toEqual([
    '2026-01-15T17:45:00.001000',
    '2026-01-15T18:45:00',
  ]);
});
