import fc from '../../../support/properties.ts';
import { describe, expect, test } from 'vitest';
import { compareReplies } from '../../../../src/engine/compare/compare-replies.ts';
import { overlapAt, rankBiasedOverlap, wordsOf } from '../../../../src/engine/compare/list-partners.ts';
import { compare, rule } from './compared.ts';

const keys = fc.uniqueArray(fc.stringMatching(/^[a-z]$/), { minLength: 1, maxLength: 20 });

describe('rank-biased overlap', () => {
  // Worked by hand from equation 32 with p = 0.9.
  test.each([
    ['abc', 'abc', 1],
    ['abc', 'xyz', 0],
    ['abc', 'acb', 0.955],
    ['ab', 'ba', 0.9],
    ['a', 'ab', 1],
    ['ab', 'a', 1],
    ['a', 'ba', 0.45],
    ['', 'a', 0],
    ['', '', 1],
  ])('of %s and %s is %d', (left, right, expected) => {
    expect(rankBiasedOverlap(left.split(''), right.split(''))).toBeCloseTo(expected, 10);
  });

  test('is symmetric, between 0 and 1, and 1 for a ranking and itself', () => {
    fc.assert(
      fc.property(keys, keys, (left, right) => {
        const overlap = rankBiasedOverlap(left, right);
        expect(rankBiasedOverlap(right, left)).toBeCloseTo(overlap, 10);
        expect(overlap).toBeGreaterThanOrEqual(-1e-12);
        expect(overlap).toBeLessThanOrEqual(1 + 1e-12);
        expect(rankBiasedOverlap(left, left)).toBeCloseTo(1, 10);
      }),
    );
  });

  test('agrees with the definition in the paper, summed term by term', () => {
    const slow = (left: readonly string[], right: readonly string[], p: number): number => {
      const [short, long] = left.length <= right.length ? [left, right] : [right, left];
      const common = (depth: number): number =>
        long.slice(0, depth).filter((key) => short.slice(0, depth).includes(key)).length;
      const [s, l] = [short.length, long.length];
      let first = 0;
      for (let d = 1; d <= l; d += 1) first += (common(d) / d) * p ** d;
      let second = 0;
      for (let d = s + 1; d <= l; d += 1) second += ((common(s) * (d - s)) / (s * d)) * p ** d;
      return ((1 - p) / p) * (first + second) + ((common(l) - common(s)) / l + common(s) / s) * p ** l;
    };
    fc.assert(
      fc.property(keys, keys, (left, right) => {
        expect(rankBiasedOverlap(left, right)).toBeCloseTo(slow(left, right, 0.9), 10);
      }),
    );
  });

  test('gives the top more weight', () => {
    const base = 'abcdefghij'.split('');
    const swapped = (at: number): string[] => base.toSpliced(at, 2, base[at + 1] ?? '', base[at] ?? '');
    expect(rankBiasedOverlap(base, swapped(0))).toBeLessThan(rankBiasedOverlap(base, swapped(7)));
  });
});

test('overlap at k uses only the first k', () => {
  expect(overlapAt(2, 'abc'.split(''), 'bax'.split(''))).toBe(1);
  expect(overlapAt(3, 'abc'.split(''), 'bax'.split(''))).toBeCloseTo(2 / 3);
  expect(overlapAt(10, [], [])).toBe(1);
  expect(overlapAt(10, ['a'], [])).toBe(0);
});

test('the words of a query are lower-case and have at least two characters', () => {
  expect(wordsOf('Wo ist a MÜLLER-Haus 12?')).toEqual(['wo', 'ist', 'müller', 'haus', '12']);
});

describe('search answers', () => {
  const ranking = rule('results', { kind: 'ranking', key: 'id', text: 'text', query: 'query' });
  const answer = (ids: string, change: (id: string) => object = () => ({})): string =>
    JSON.stringify({
      results: ids.split('').map((id) => ({ id, text: `note ${id} of milk`, ...change(id) })),
    });
  const judge = (legacy: string, orchestrator: string, query = 'nothing of it') =>
    compareReplies({ legacy, orchestrator, rules: [ranking], request: { query } }).comparison;

  test('match when few ranks change, and report their similarity', () => {
    const result = judge(answer('abcdefghij'), answer('abcdefghji'));
    expect(result).toMatchObject({ verdict: 'match', suppressed: 1 });
    expect(result.ranking?.overlap).toBe(1);
    expect(result.ranking?.rankBiasedOverlap).toBeGreaterThan(0.95);
  });

  test('differ in ranking when most items differ', () => {
    expect(judge(answer('abcdefghij'), answer('klmnopqrst')).differences).toMatchObject([
      { path: 'results', class: 'ranking' },
    ]);
    expect(judge(answer('abcdefghij'), answer('')).verdict).toBe('mismatch');
  });

  test('must contain the items with the query’s words: lexical recall 99 %', () => {
    const [legacy, orchestrator] = [answer('abcdefghij'), answer('abcdefghi')];
    expect(judge(legacy, orchestrator).verdict).toBe('match');
    const result = judge(legacy, orchestrator, 'Milk notes? note');
    expect(judge(legacy, orchestrator, 'milk note')).toMatchObject({
      verdict: 'mismatch',
      ranking: { lexical: { expected: 10, found: 9 } },
    });
    expect(result.ranking?.lexical).toEqual({ expected: 0, found: 0 });
  });

  test('are compared item by item where both return the item', () => {
    const altered = answer('abcdefghij', (id) => (id === 'c' ? { text: 'altered' } : {}));
    expect(judge(answer('abcdefghij'), altered).differences).toMatchObject([
      { path: 'results[].text', class: 'value' },
    ]);
  });

  test('that return a deleted item report it, similar or not', () => {
    const rules = [ranking];
    const request = { legacy: answer('abcdefghij'), orchestrator: answer('abcdefghijk'), rules };
    const { comparison } = compareReplies({ ...request, deleted: new Set(['k']) });
    expect(comparison).toMatchObject({ verdict: 'match', deletedReturned: 1 });
    expect(compareReplies(request).comparison.deletedReturned).toBeUndefined();
  });
});

test('elements of a keyed list are paired by their key, in any order', () => {
  const rules = [rule('l', { kind: 'keyed', key: 'id' })];
  const differences = (legacy: string, orchestrator: string) =>
    compare(legacy, orchestrator, rules).differences.map(({ class: kind, path }) => `${kind} ${path}`);
  const legacy = '{"l":[{"id":1,"x":1},{"id":2,"x":2},{"id":3,"x":3}]}';
  expect(differences(legacy, '{"l":[{"id":3,"x":3},{"id":1,"x":1},{"id":2,"x":2}]}')).toEqual([]);
  expect(differences(legacy, '{"l":[{"id":3,"x":3},{"id":1,"x":9},{"id":2,"x":2}]}')).toEqual([
    'value l[].x',
  ]);
  expect(differences(legacy, '{"l":[{"id":3,"x":3},{"id":1,"x":1},{"id":9,"x":2}]}')).toEqual([
    'missing_in_orchestrator l[]',
    'extra_in_orchestrator l[]',
  ]);
});
