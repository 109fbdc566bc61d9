import { describe, expect, test } from 'vitest';
import fc from '../../support/properties.ts';
import {
  canonicalJson,
  encodeJson,
  hasLoneSurrogate,
  hasMoreValuesThan,
  isDeeperThan,
  Json,
  mostBytesOf,
  parseTolerantly,
  rawElements,
  rawMembers,
} from '../../../src/domain/json.ts';
import { parseRequest } from '../../../src/domain/request.ts';

describe('raw members', () => {
  test('keep the spelling of every value', () => {
    const text =
      ' {"a" : NaN, "b":1000.0 ,"c": [1, {"x":"}\\"]"}],"d":123456789012345678901234567890,"e":"\\u00f1","a2":"x\\\\"}';
    expect(rawMembers(text)).toEqual({
      a: 'NaN',
      b: '1000.0',
      c: '[1, {"x":"}\\"]"}]',
      d: '123456789012345678901234567890',
      e: '"\\u00f1"',
      a2: '"x\\\\"',
    });
    expect(rawElements('[ ]')).toEqual([]);
    expect(rawMembers('{ }')).toEqual({});
  });

  test('agree with JSON.parse on any object; the last of a repeated key wins', () => {
    fc.assert(
      fc.property(
        fc.dictionary(fc.string(), fc.jsonValue()),
        fc.constantFrom(undefined, 1, '\t'),
        (object, space) => {
          const text = JSON.stringify(object, null, space);
          const members = Object.entries(rawMembers(text)).map(([key, raw]) => [
            key,
            JSON.parse(raw) as unknown,
          ]);
          expect(Object.fromEntries(members)).toEqual(JSON.parse(text));
        },
      ),
    );
    expect(rawMembers('{"a":1,"a":2}')).toEqual({ a: '2' });
  });
});

test('bare words for non-numbers are replaced, and strings stay unchanged', () => {
  expect(parseTolerantly('{"a":NaN,"b":[-Infinity,Infinity],"c":"NaN \\" Infinity"}')).toEqual({
    a: null,
    b: [null, null],
    c: 'NaN " Infinity',
  });
  expect(() => parseTolerantly('{"a":nan}')).toThrow(SyntaxError);
});

test('depth is counted only outside strings', () => {
  expect(isDeeperThan('['.repeat(501) + ']'.repeat(501), 500)).toBe(true);
  expect(isDeeperThan('['.repeat(500) + ']'.repeat(500), 500)).toBe(false);
  expect(isDeeperThan(JSON.stringify({ a: '['.repeat(5_000) }), 500)).toBe(false);
});

test('a lone surrogate is found, and a complete pair is not', () => {
  expect(hasLoneSurrogate('"\\ud83d"')).toBe(true);
  expect(hasLoneSurrogate('"\\ude00"')).toBe(true);
  expect(hasLoneSurrogate('"\\ude00\\ud83d"')).toBe(true);
  expect(hasLoneSurrogate('"\\ud83dx\\ude00"')).toBe(true);
  expect(hasLoneSurrogate('"\\ud83d\\ud83d\\ude00"')).toBe(true);
  expect(hasLoneSurrogate('"\\ud83d\\ude00"')).toBe(false);
  expect(hasLoneSurrogate('"\\uD83D\\uDE00 \\\\ud83d"')).toBe(false);
});

test('equal values have one canonical text', () => {
  expect(canonicalJson('{"b": 1e3, "a":[ 2.50,-0.0, 1000.0]}')).toBe(
    canonicalJson('{"a":[2.5,0,1000],"b":1000}'),
  );
  expect(canonicalJson('123456789012345678901234567890')).not.toBe(
    canonicalJson('123456789012345678901234567891'),
  );
  expect(canonicalJson('"\\u00f1"')).toBe(canonicalJson('"ñ"'));
});

test('raw text is embedded unchanged', () => {
  expect(encodeJson({ a: new Json('1000.0'), b: undefined, c: [new Json('NaN'), null] })).toBe(
    '{"a":1000.0,"c":[NaN,null]}',
  );
});

test('keys are spelled as in JSON: unusual, long, and more than the cache holds', () => {
  const keys = ['', '"', 'a\\b', '\u0000', '\ud800', '__proto__', 'constructor', 'é', 'k'.repeat(1_000)];
  const many = Array.from({ length: 3_000 }, (_, index) => `key "${index}"`);
  const object = Object.fromEntries([...keys, ...many].map((key, index) => [key, index]));
  for (const _time of [1, 2]) expect(encodeJson(object)).toBe(JSON.stringify(object));
});

describe('the most bytes that a value may take', () => {
  const leaf = fc.oneof(
    fc.jsonValue({ maxDepth: 2 }),
    fc.string({ unit: 'binary' }),
    fc.constantFrom('\u0000\u0001', '\ud83d\ude00', '\ud83d', '€', undefined, new Date(0), -1.5e-300),
    fc.jsonValue({ maxDepth: 2 }).map((value) => new Json(JSON.stringify(value))),
  );
  const value = fc.dictionary(
    fc.string({ unit: 'binary' }),
    fc.oneof(leaf, fc.array(leaf, { maxLength: 4 })),
  );

  test('are never fewer than its real size', () => {
    fc.assert(
      fc.property(value, (one) => {
        expect(mostBytesOf(one)).toBeGreaterThanOrEqual(Buffer.byteLength(encodeJson(one)));
      }),
    );
  });

  test('are not many more for plain text', () => {
    const one = { text: 'a'.repeat(1_000), tags: ['x', 'y'], priority: 5 };
    expect(mostBytesOf(one)).toBeLessThan(7 * Buffer.byteLength(encodeJson(one)));
  });
});

test.each([
  ['[1,2,3]', 3],
  ['{"a": {"b": [1]}, "c": "x, [y], {z}"}', 4],
  [`[${'{},'.repeat(100)}{}]`, 202],
  [`["${'a,'.repeat(100)}"]`, 1],
])('values are counted by their separators and opening brackets: %#', (text, count) => {
  const padded = text.padEnd(2 * count + 2);
  expect(hasMoreValuesThan(padded, count)).toBe(false);
  expect(hasMoreValuesThan(padded, count - 1)).toBe(true);
});

test('4 MiB of the smallest values are refused before they are parsed', () => {
  const body = Buffer.from(`{"action":"x","content":[${'{},'.repeat(1_300_000)}{}]}`);
  const before = process.cpuUsage();
  const limits = { messageBytes: 4 * 1024 * 1024, jsonDepth: 500, jsonValues: 100_000 };
  expect(parseRequest(body, limits)).toMatchObject({
    problem: 'too_many_values',
    detail: 'the message holds more than 100000 JSON values',
  });
  const { user, system } = process.cpuUsage(before);
  expect((user + system) / 1_000).toBeLessThan(150);
});
