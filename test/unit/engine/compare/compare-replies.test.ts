import fc from '../../../support/properties.ts';
import { describe, expect, test } from 'vitest';
import { classesOf, compare, rule } from './compared.ts';

describe('the same value', () => {
  test.each([
    ['{"a": 1, "b": [1, 2]}', '{"b":[1,2],"a":1}'],
    ['[1000.0, 1e3, -0.0, 1.50, -0, 1e16]', '[1000.00,1000.0,-0e0,1.5,0,1e+16]'],
    ['"\\u00f1"', '"ñ"'],
    ['[NaN, Infinity, -Infinity]', '[ NaN , Infinity , -Infinity ]'],
    ['{"n": 123456789012345678901234567890}', '{"n":123456789012345678901234567890}'],
    ['{"version 1.0, 2e5": "1.0, 2"}', '{"version 1.0, 2e5":"1.0, 2"}'],
    ['[0.1234567890123456789]', '[0.12345678901234568]'],
    ['no JSON', 'no JSON'],
  ])('%s matches %s', (legacy, orchestrator) => {
    expect(compare(legacy, orchestrator)).toEqual({ verdict: 'match', differences: [], suppressed: 0 });
  });

  test('in any order of keys and any spelling', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const text = JSON.stringify(value);
        expect(compare(text, JSON.stringify(reversed(value), null, 1)).verdict).toBe('match');
      }),
    );
  });

  function reversed(value: unknown): unknown {
    if (Array.isArray(value)) return value.map(reversed);
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(
      Object.entries(value)
        .toReversed()
        .map(([key, member]) => [key, reversed(member)]),
    );
  }
});

describe('different values', () => {
  test.each([
    ['{"a":1}', '{"a":2}', ['value a']],
    ['{"a":1}', '{"a":"1"}', ['type a']],
    ['{"a":null}', '{"a":{}}', ['type a']],
    ['{"a":[]}', '{"a":{}}', ['type a']],
    ['{"a":{"b":1}}', '{"a":{}}', ['missing_in_orchestrator a.b']],
    ['{"a":{}}', '{"a":{"b":null}}', ['extra_in_orchestrator a.b']],
    ['[1,2,3]', '[3,1,2]', ['order []'.replace(' []', ' ')]],
    ['{"l":[{"x":1},{"x":2}]}', '{"l":[{"x":2},{"x":1}]}', ['order l']],
    ['{"l":[1,2,3]}', '{"l":[1,3]}', ['missing_in_orchestrator l[]']],
    ['{"l":[1,3]}', '{"l":[1,2,3]}', ['extra_in_orchestrator l[]']],
    ['{"l":[{"x":{"y":1}},{"x":5}]}', '{"l":[{"x":{"y":2}},{"x":5}]}', ['value l[].x.y']],
    ['[1,1,2]', '[1,2,2]', ['value []']],
    ['[9007199254740993]', '[9007199254740992]', ['value []']],
    // Python reads these as another type, and code that calls is_integer() or prints them notices.
    ['{"a":1e+16}', '{"a":10000000000000000}', ['type a']],
    ['{"a":1.0}', '{"a": 1}', ['type a']],
    ['[100000000000000000000]', '[1e20]', ['type []']],
    ['[0.0]', '[-0]', ['type []']],
    ['[2.5]', '[2]', ['type []']],
    ['[-0.0]', '[0.0]', ['value []']],
    ['[2.0]', '[3.0]', ['value []']],
    ['[{"a":[1.0]},{"b":2}]', '[{"b":2},{"a":[1]}]', ['type [].a[]']],
    ['[NaN]', '[null]', ['type []']],
    ['[NaN]', '[Infinity]', ['value []']],
    ['{"toString":1}', '{}', ['missing_in_orchestrator toString']],
    ['{"__proto__":{}}', '{}', ['missing_in_orchestrator __proto__']],
    ['no JSON', '{}', ['type ']],
    ['null', '{"a":1}', ['type ']],
  ])('%s and %s differ', (legacy, orchestrator, expected) => {
    expect(classesOf(legacy, orchestrator)).toEqual(expected);
  });

  test('any single changed leaf is found at its path', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 4 }), fc.nat(), (value, seed) => {
        const leaves = leavesOf(value);
        fc.pre(leaves.length > 0);
        const at = leaves[seed % leaves.length] ?? [];
        const result = compare(JSON.stringify(value), JSON.stringify(altered(value, at)));
        expect(result.verdict).toBe('mismatch');
        expect(result.differences).toHaveLength(1);
        const depth = at.filter((step) => typeof step === 'number').length;
        expect(result.differences[0]?.path.split('[]').length).toBe(depth + 1);
      }),
      { numRuns: 300 },
    );
  });

  type Path = readonly (string | number)[];

  function leavesOf(value: unknown, path: Path = []): Path[] {
    if (typeof value !== 'object' || value === null) return [path];
    if (Array.isArray(value)) return value.flatMap((element, index) => leavesOf(element, [...path, index]));
    return Object.entries(value).flatMap(([key, member]) => leavesOf(member, [...path, key]));
  }

  function altered(value: unknown, [step, ...rest]: Path): unknown {
    if (step === undefined) return 'nothing that fast-check would draw';
    if (Array.isArray(value))
      return value.map((element, index) => (index === step ? altered(element, rest) : element));
    const members = Object.entries(value as object).map(([key, member]) => [
      key,
      key === step ? altered(member, rest) : member,
    ]);
    return Object.fromEntries(members);
  }

  test('a list in a different order is `order`, and nothing else', () => {
    const lists = fc.uniqueArray(fc.jsonValue({ maxDepth: 2 }), {
      minLength: 2,
      selector: (value) => JSON.stringify(value),
    });
    fc.assert(
      fc.property(lists, fc.nat(), (list, seed) => {
        const by = (seed % (list.length - 1)) + 1;
        const rotated = [...list.slice(by), ...list.slice(0, by)];
        expect(classesOf(JSON.stringify({ l: list }), JSON.stringify({ l: rotated }))).toEqual(['order l']);
        expect(
          compare(JSON.stringify({ l: list }), JSON.stringify({ l: rotated }), [rule('l', { kind: 'set' })])
            .verdict,
        ).toBe('match');
      }),
    );
  });

  test('an error on one side is parity, whatever else differs', () => {
    const error = '{"status":"ERROR","message":"x"}';
    expect(classesOf(error, '{"status":"success"}')).toEqual(['error_parity ']);
    expect(classesOf(error, '{"status":"ERROR","message":"y"}')).toEqual(['value message']);
    expect(classesOf('{"error":"x"}', '{"error":null}')).toEqual(['error_parity ']);
    expect(classesOf('{"status":"ok","error":"x"}', '{"status":"ok","error":"y"}')).toEqual(['value error']);
  });

  test('at most 50 differences are reported', () => {
    const list = (from: number): string =>
      JSON.stringify(Array.from({ length: 200 }, (_, index) => ({ v: from + index })));
    expect(compare(list(0), list(1_000)).differences).toHaveLength(50);
  });
});

describe('redaction', () => {
  test('shows the shape and never the content', () => {
    const { differences } = compare(
      '{"a":"my secret","b":[1],"c":true}',
      '{"a":"other","b":null,"d":{"x":1}}',
    );
    expect(differences).toEqual([
      {
        path: 'a',
        class: 'value',
        legacy: expect.stringMatching(/^string\(9\)#[0-9a-f]{8}$/) as unknown,
        orchestrator: expect.stringMatching(/^string\(5\)#[0-9a-f]{8}$/) as unknown,
      },
      { path: 'b', class: 'type', legacy: 'list(1)', orchestrator: 'null' },
      {
        path: 'c',
        class: 'missing_in_orchestrator',
        legacy: 'boolean',
        orchestrator: 'absent',
        hint: 'missing_backfill',
      },
      { path: 'd', class: 'extra_in_orchestrator', legacy: 'absent', orchestrator: 'object(1)' },
    ]);
  });

  test('covers texts, and keys that are a person’s words', () => {
    const words = fc.string({ minLength: 12 }).map((text) => `<<${text}>>`);
    fc.assert(
      fc.property(words, words, fc.jsonValue(), (key, text, other) => {
        const told = JSON.stringify(
          compare(JSON.stringify({ [key]: [text, other] }), JSON.stringify({ [key]: [[text]] })),
        );
        for (const secret of [key, text]) {
          expect(told).not.toContain(secret);
          expect(told).not.toContain(JSON.stringify(secret).slice(1, -1));
        }
      }),
    );
  });
});

describe('hostile replies', () => {
  const nested = (depth: number, leaf: string): string => '['.repeat(depth) + leaf + ']'.repeat(depth);

  test('500 levels are walked', () => {
    expect(compare(nested(500, '1'), nested(500, '2')).differences).toEqual([
      { path: '[]'.repeat(500), class: 'value', legacy: 'number', orchestrator: 'number', apart: -1 },
    ]);
  });

  test('100,000 levels are not comparable, and do not crash', () => {
    expect(compare(nested(100_000, '1'), nested(100_000, '2'))).toMatchObject({
      verdict: 'not_comparable',
      reason: 'too_large',
    });
  });

  test('a difference below many long lists costs each of them once', () => {
    const deep = (depth: number, leaf: number): unknown =>
      depth === 0 ? leaf : [Array.from({ length: 200 }, (_, index) => ({ index })), deep(depth - 1, leaf)];
    const cpuMs = (): number => process.threadCpuUsage().user / 1_000;
    const startedAtMs = cpuMs();
    const result = compare(JSON.stringify(deep(300, 1)), JSON.stringify(deep(300, 2)));
    expect(result.differences).toHaveLength(1);
    expect(cpuMs() - startedAtMs).toBeLessThan(2_000);
  });
});

test('a comparison gives the same differences at every look and in a thread', () => {
  const comparison = compare('{"a": "one", "b": 1}', '{"a": "two", "b": 1.0}');
  const copy = structuredClone(comparison);
  const first = comparison.differences;
  expect(first.map(({ path }) => path)).toEqual(['a', 'b']);
  expect(comparison.differences).toBe(first);
  expect(copy).toEqual(comparison);
});
