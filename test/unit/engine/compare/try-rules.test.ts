import { describe, expect, test } from 'vitest';
import type { ComparisonRule } from '../../../../src/domain/comparison.ts';
import { type LaneKey, operationId, serviceName } from '../../../../src/domain/ids.ts';
import { parseRules, RuleTrial, type TriedRules } from '../../../../src/engine/compare/try-rules.ts';
import type { StoredDifference } from '../../../../src/engine/compare/comparison-stores.ts';
import { compareReplies, type JudgedWith } from '../../../../src/engine/compare/compare-replies.ts';
import { compare, rule } from './compared.ts';

function tryRules(
  differences: readonly StoredDifference[],
  rules: ConstructorParameters<typeof RuleTrial>[0],
): TriedRules {
  const trial = new RuleTrial(rules);
  for (const difference of differences) trial.judge(difference);
  return trial.result;
}

const AT_MS = Date.UTC(2026, 10, 21);
const JUDGED_WITH: JudgedWith = { nowIso: new Date(AT_MS).toISOString(), clockOffsetSeconds: 0 };

const stored = (legacy: string, orchestrator: string, isSampled: boolean): StoredDifference => ({
  operationId: operationId('operation'),
  service: serviceName('session-memory'),
  action: 'get_context',
  lane: 'session-memory/s' as LaneKey,
  primary: 'legacy',
  comparison: compare(legacy, orchestrator),
  atMs: AT_MS,
  judgedWith: JUDGED_WITH,
  ...(isSampled && { sample: { request: '{}', legacy, orchestrator } }),
});

const CASES: readonly (readonly [string, string, string, ComparisonRule, 'wouldMatch' | 'stillMismatch'])[] =
  [
    ['an ignored place', '{"a":{"b":1}}', '{"a":{"b":2}}', rule('a', { kind: 'ignore' }), 'wouldMatch'],
    ['another place', '{"a":1}', '{"a":2}', rule('ab', { kind: 'ignore' }), 'stillMismatch'],
    ['an order', '{"a":[1,2]}', '{"a":[2,1]}', rule('a', { kind: 'set' }), 'wouldMatch'],
    ['a set’s element', '{"a":[1,2]}', '{"a":[3,1]}', rule('a', { kind: 'set' }), 'stillMismatch'],
    ['null for absent', '{"a":null}', '{}', rule('a', { kind: 'equal_if_missing' }), 'wouldMatch'],
    ['a value for absent', '{"a":"x"}', '{}', rule('a', { kind: 'equal_if_missing' }), 'stillMismatch'],
    ['a default', '{"a":"en"}', '{}', rule('a', { kind: 'default', value: 'en' }), 'wouldMatch'],
    ['another default', '{"a":"de"}', '{}', rule('a', { kind: 'default', value: 'en' }), 'stillMismatch'],
    ['a tolerance', '{"a":1.25}', '{"a":1.5}', rule('a', { kind: 'tolerance', within: 0.25 }), 'wouldMatch'],
    [
      'beyond it',
      '{"a":1.25}',
      '{"a":1.75}',
      rule('a', { kind: 'tolerance', within: 0.25 }),
      'stillMismatch',
    ],
    [
      'a time',
      '{"t":"2026-11-21T10:00:00"}',
      '{"t":"2026-11-21T10:00:04"}',
      rule('t', { kind: 'tolerance_seconds', seconds: 5 }),
      'wouldMatch',
    ],
    ['a cut text', '{"t":"abc..."}', '{"t":"abcdef"}', rule('t', { kind: 'prefix' }), 'wouldMatch'],
  ];

describe.each([true, false])('stored comparisons, with samples: %s', (isSampled) => {
  test.each(CASES)('%s', (_name, legacy, orchestrator, proposed, expected) => {
    const tried = tryRules([stored(legacy, orchestrator, isSampled)], { inForce: [], proposed: [proposed] });
    expect(tried).toMatchObject({
      comparisons: 1,
      fromSamples: isSampled ? 1 : 0,
      undecided: 0,
      [expected]: 1,
    });
  });
});

test('a rule that shapes and digests cannot decide is undecided without a sample', () => {
  const proposed = [rule('a', { kind: 'default', value: 5 })];
  const tried = (isSampled: boolean) =>
    tryRules([stored('{"a":5}', '{}', isSampled)], { inForce: [], proposed });
  expect([tried(false).undecided, tried(true).wouldMatch]).toEqual([1, 1]);
});

test('signatures show which differences a rule would accept', () => {
  const differences = [
    stored('{"a":1,"b":1}', '{"a":2,"b":2}', false),
    stored('{"a":1,"b":1}', '{"a":2,"b":1}', false),
  ];
  const { signatures, wouldMatch } = tryRules(differences, {
    inForce: [],
    proposed: [rule('a', { kind: 'ignore' })],
  });
  expect(wouldMatch).toBe(1);
  expect(signatures).toMatchObject([
    { path: 'a', accepted: 2, counts: 0 },
    { path: 'b', accepted: 0, counts: 1 },
  ]);
});

/** A difference as a live comparison leaves it, with its texts. */
function live(
  texts: { readonly legacy: string; readonly orchestrator: string; readonly request?: string },
  inForce: readonly ComparisonRule[],
  judgedWith: JudgedWith = JUDGED_WITH,
): StoredDifference {
  const { legacy, orchestrator, request = '{}' } = texts;
  const fields = JSON.parse(request) as Record<string, unknown>;
  const pair = { legacy, orchestrator, rules: inForce, request: fields, ...judgedWith };
  const { comparison } = compareReplies(pair);
  expect(comparison.verdict).toBe('mismatch');
  return { ...stored('1', '2', false), comparison, judgedWith, sample: { legacy, orchestrator, request } };
}

describe('a stored pair is judged again', () => {
  const proposed = [rule('note', { kind: 'ignore' })];
  const NOTES = [{ note: 'a' }, { note: 'b' }] as const;
  const [mine, theirs] = NOTES;

  test('with its request: a search without one of its words still differs', () => {
    const ranking = rule('found', {
      kind: 'ranking',
      key: 'id',
      text: 'text',
      query: 'query',
      floors: { overlap: 0.1, rankBiasedOverlap: 0.1 },
    });
    const found = (count: number) =>
      Array.from({ length: count }, (_, id) => ({ id, text: 'the red bicycle' }));
    const difference = live(
      {
        legacy: JSON.stringify({ found: found(4), ...mine }),
        orchestrator: JSON.stringify({ found: found(3), ...theirs }),
        request: '{"query":"bicycle"}',
      },
      [ranking],
    );
    expect(tryRules([difference], { inForce: [ranking], proposed })).toMatchObject({
      wouldMatch: 0,
      stillMismatch: 1,
    });
  });

  test('with the clock offset: times that the offset explains do not differ', () => {
    const near = rule('at', { kind: 'tolerance_seconds', seconds: 5 });
    const judgedWith = { ...JUDGED_WITH, clockOffsetSeconds: 8 };
    const difference = live(
      {
        legacy: JSON.stringify({ at: '2026-11-21T10:00:08', ...mine }),
        orchestrator: JSON.stringify({ at: '2026-11-21T10:00:00', ...theirs }),
      },
      [near],
      judgedWith,
    );
    expect(tryRules([difference], { inForce: [near], proposed })).toMatchObject({ wouldMatch: 1 });
    const { sample: _, ...redacted } = live(
      { legacy: '{"at":1800000008}', orchestrator: '{"at":1800000000}' },
      [],
      judgedWith,
    );
    expect(tryRules([redacted], { inForce: [], proposed: [near] })).toMatchObject({ wouldMatch: 1 });
  });

  test('at its own time: a lane idle for too long is expired, not missing', () => {
    const at = rule('items[].at', { kind: 'tolerance_seconds', seconds: 5 });
    const nowSeconds = AT_MS / 1_000;
    const judgedWith = {
      ...JUDGED_WITH,
      expiry: { idleSeconds: 3_600, nowSeconds, naiveNowSeconds: nowSeconds },
    };
    const difference = live(
      {
        legacy: JSON.stringify({ items: [], ...mine }),
        orchestrator: JSON.stringify({ items: [{ at: nowSeconds - 7_200 }], ...theirs }),
      },
      [at],
      judgedWith,
    );
    const tried = tryRules([difference], { inForce: [at], proposed });
    expect(tried).toMatchObject({ wouldMatch: 0, stillMismatch: 0, notComparable: 1 });
    expect(tried.signatures.find(({ path }) => path === 'items[]')).toMatchObject({ explained: 1 });
  });

  test('without what was noise at that time', () => {
    const { comparison, ...rest } = live(
      {
        legacy: JSON.stringify({ score: 1, ...mine }),
        orchestrator: JSON.stringify({ score: 2, ...theirs }),
      },
      [],
    );
    const [noise, counted] = ['score', 'note'].map((place) =>
      comparison.differences.filter(({ path }) => path === place),
    );
    const explained = (noise ?? []).map((difference) => ({ difference, by: 'noise' as const }));
    const difference = { ...rest, comparison: { ...comparison, differences: counted ?? [], explained } };
    expect(tryRules([difference], { inForce: [], proposed })).toMatchObject({ wouldMatch: 1 });
  });

  test('only if its inputs are stored: whole lanes are counted separately', () => {
    const { judgedWith: _, ...lane } = stored('{"note":1}', '{"note":2}', false);
    const tried = tryRules([lane, stored('{"note":1}', '{"note":2}', false)], { inForce: [], proposed });
    expect(tried).toMatchObject({ comparisons: 1, wouldMatch: 1, notJudged: 1 });
  });
});

describe('a file of rules', () => {
  const ann = { owner: 'ann', reason: 'because', expires: '2027-01-31' };

  test('is parsed into rules and their actions', () => {
    const rules = parseRules([{ action: 'get_context', kind: 'tolerance', path: 'a', within: 1, ...ann }]);
    expect(rules).toEqual([
      { action: 'get_context', rule: { kind: 'tolerance', path: 'a', within: 1, ...ann } },
    ]);
  });

  test('is refused with all of its problems', () => {
    const parse = () =>
      parseRules([
        { action: 'x', kind: 'ignored', path: 'a', owner: 'ann', reason: 'because' },
        {
          action: '',
          kind: 'tolerance',
          path: 'a',
          within: 'far',
          reason: 'because',
          expires: 'soon',
          seconds: 1,
        },
        {
          action: 'x',
          kind: 'ranking',
          path: 'a',
          key: 'id',
          owner: 'a',
          reason: 'b',
          floors: { overlap: 7 },
        },
      ]);
    for (const problem of [
      /rule 1: kind must be one of/,
      /rule 2: action must be text, got ""/,
      /rule 2: within must be a number/,
      /rule 2: owner must be text/,
      /rule 2: expires must be a calendar day such as 2027-01-31, got "soon"/,
      /rule 2: unknown member seconds/,
      /rule 3: floors overlap must be a number from 0 to 1/,
    ])
      expect(parse).toThrow(problem);
    expect(() => parseRules([])).toThrow(/at least one/);
  });

  test('must not ignore whole answers, because that would count as proof', () => {
    const all = { action: 'get_context', path: '', ...ann };
    expect(() => parseRules([{ ...all, kind: 'ignore' }])).toThrow(/rule 1: path must name a member/);
    expect(() => parseRules([{ ...all, kind: 'ignore', hidesList: true }])).toThrow(
      /path must name a member/,
    );
    expect(parseRules([{ ...all, kind: 'set' }])).toHaveLength(1);
  });

  test.each(['memories', 'memories[]', 'data.memories', 'lists[][]', 'lists[]'])(
    'must not hide all items without hidesList: %s',
    (path) => {
      const ignored = { action: 'get_context', kind: 'ignore', path, ...ann };
      expect(() => parseRules([ignored])).toThrow(/rule 1: path ".*" names no member of a list's element/);
      expect(parseRules([{ ...ignored, hidesList: true }])[0]?.rule).toMatchObject({ path, hidesList: true });
      expect(() => parseRules([{ ...ignored, hidesList: 'yes' }])).toThrow(/hidesList must be true/);
    },
  );

  test.each(['memories[].timestamp', 'memories[].memory.note', 'groups[].items', '[].at'])(
    'may ignore a member of an element: %s',
    (path) => {
      expect(parseRules([{ action: 'get_context', kind: 'ignore', path, ...ann }])).toHaveLength(1);
    },
  );

  test('must not accept any search answer', () => {
    const ranking = { action: 'search', kind: 'ranking', path: 'results', key: 'id', ...ann };
    const none = { overlap: 0, rankBiasedOverlap: 0, lexicalRecall: 0 };
    expect(() => parseRules([{ ...ranking, floors: none }])).toThrow(
      /rule 1: floors must have at least one value above 0/,
    );
    expect(parseRules([{ ...ranking, floors: { overlap: 0, k: 5 } }])).toHaveLength(1);
  });

  test.each([
    undefined,
    '2026-99-99',
    '2027-02-31',
    '2027-01',
    '2027-01-31 noon',
    '2027-01-31T99:00:00Z',
    20270131,
  ])('must give a calendar day on which each rule ends: %s is refused', (expires) => {
    const parse = () => parseRules([{ action: 'x', kind: 'set', path: 'a', ...ann, expires }]);
    expect(parse).toThrow(/rule 1: expires must be a calendar day such as 2027-01-31, got/);
  });

  test.each(['2027-01-31', '2028-02-29', '2027-01-31T12:00:00Z'])('may end on %s', (expires) => {
    expect(parseRules([{ action: 'x', kind: 'set', path: 'a', ...ann, expires }])).toHaveLength(1);
  });

  test('reports the first fifty problems of 20,000 rules', () => {
    const problems = (): number => {
      try {
        return parseRules(Array(20_000).fill(1)).length;
      } catch (error) {
        return (error as Error).message.split('\n').length - 1;
      }
    };
    expect(problems()).toBe(50);
  });
});
