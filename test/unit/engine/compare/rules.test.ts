import { describe, expect, test } from 'vitest';
import { compareReplies } from '../../../../src/engine/compare/compare-replies.ts';
import { classesOf, compare, rule } from './compared.ts';

describe('rules', () => {
  test.each([
    ['ignored', '{"a":{"b":1}}', '{"a":[2]}', rule('a', { kind: 'ignore' }), 1],
    [
      'ignored but the same',
      '{"a":{"b":1},"c":1.5}',
      '{"c":1.50,"a":{"b":1}}',
      rule('a', { kind: 'ignore' }),
      0,
    ],
    ['ignored though absent', '{"a":1}', '{}', rule('a', { kind: 'ignore' }), 1],
    ['ignored in lists', '[{"t":1},{"t":2}]', '[{"t":3},{"t":2}]', rule('[].t', { kind: 'ignore' }), 1],
    [
      'epochs',
      '{"t":1795226191.07}',
      '{"t":1795226195}',
      rule('t', { kind: 'tolerance_seconds', seconds: 5 }),
      1,
    ],
    [
      'whole epochs',
      '{"t":1795226191.0}',
      '{"t":1795226195.5}',
      rule('t', { kind: 'tolerance_seconds', seconds: 5 }),
      1,
    ],
    ['numbers of any type', '{"n":1.0}', '{"n":1}', rule('n', { kind: 'tolerance', within: 0 }), 1],
    ['a default of another type', '{"n":0.0}', '{}', rule('n', { kind: 'default', value: 0 }), 1],
    [
      'naive times',
      '["2026-11-21T01:57:59.9"]',
      '["2026-11-21T01:58:01"]',
      rule('[]', { kind: 'tolerance_seconds', seconds: 5 }),
      1,
    ],
    [
      'times of zones',
      '["2026-11-21T01:57:59Z"]',
      '["2026-11-21T03:57:58.5+02:00"]',
      rule('[]', { kind: 'tolerance_seconds', seconds: 1 }),
      1,
    ],
    ['a cut text', '{"t":"abc..."}', '{"t":"abcdef"}', rule('t', { kind: 'prefix' }), 1],
    ['null for absent', '{"a":null}', '{}', rule('a', { kind: 'equal_if_missing' }), 1],
    ['absent for null', '{}', '{"a":null}', rule('a', { kind: 'equal_if_missing' }), 1],
    ['a set', '{"s":[1,2,2]}', '{"s":[2,1,2]}', rule('s', { kind: 'set' }), 1],
  ])('accept: %s', (_name, legacy, orchestrator, accepting, suppressed) => {
    expect(compare(legacy, orchestrator, [accepting])).toEqual({
      verdict: 'match',
      differences: [],
      suppressed,
    });
  });

  test.each([
    ['an epoch too far', '{"t":1}', '{"t":7}', rule('t', { kind: 'tolerance_seconds', seconds: 5 })],
    [
      'a time too far',
      '["2026-11-21T01:57:50"]',
      '["2026-11-21T01:57:59"]',
      rule('[]', { kind: 'tolerance_seconds', seconds: 5 }),
    ],
    [
      'a zone on one side',
      '["2026-11-21T01:57:59"]',
      '["2026-11-21T01:57:59Z"]',
      rule('[]', { kind: 'tolerance_seconds', seconds: 5 }),
    ],
    ['no time', '["yesterday"]', '["today"]', rule('[]', { kind: 'tolerance_seconds', seconds: 5 })],
    ['a text that is not cut', '{"t":"abc"}', '{"t":"abcdef"}', rule('t', { kind: 'prefix' })],
    ['another text', '{"t":"abd..."}', '{"t":"abcdef"}', rule('t', { kind: 'prefix' })],
    ['a value for absent', '{"a":0}', '{}', rule('a', { kind: 'equal_if_missing' })],
    ['another set', '{"s":[1,2,2]}', '{"s":[2,1,1]}', rule('s', { kind: 'set' })],
    ['another path', '{"a":1}', '{"a":2}', rule('a.b', { kind: 'ignore' })],
    ['an expired rule', '{"a":1}', '{"a":2}', rule('a', { kind: 'ignore' }, '2026-11-20')],
  ])('do not accept: %s', (_name, legacy, orchestrator, failing) => {
    expect(compare(legacy, orchestrator, [failing]).verdict).toBe('mismatch');
  });

  test('hold until they expire', () => {
    const rules = [rule('a', { kind: 'ignore' }, '2026-11-21')];
    const at = (nowIso: string) =>
      compareReplies({ legacy: '{"a":1}', orchestrator: '{"a":2}', rules, nowIso }).comparison.verdict;
    expect([at('2026-11-20T23:59:59Z'), at('2026-11-21T00:00:00Z'), at('2026-11-20T23:59:59Z')]).toEqual([
      'match',
      'mismatch',
      'match',
    ]);
  });

  test('a real difference next to an accepted one is reported alone', () => {
    const rules = [rule('l[].t', { kind: 'tolerance_seconds', seconds: 5 })];
    const legacy = '{"l":[{"t":1,"x":"a"},{"t":2,"x":"b"},{"t":3,"x":"c"}]}';
    expect(compare(legacy, '{"l":[{"t":2,"x":"a"},{"t":3,"x":"c"}]}', rules)).toMatchObject({
      differences: [{ path: 'l[]', class: 'missing_in_orchestrator' }],
      suppressed: 1,
    });
    expect(classesOf(legacy, '{"l":[{"t":1,"x":"a"},{"t":92,"x":"b"},{"t":4,"x":"c"}]}', rules)).toEqual([
      'value l[].t',
    ]);
  });

  test('sets of lists, and times inside sets, are compared too', () => {
    const rules = [
      rule('s', { kind: 'set' }),
      rule('s[].t', { kind: 'tolerance_seconds', seconds: 5 }),
      rule('s[].m', { kind: 'equal_if_missing' }),
    ];
    const legacy = '{"s":[{"k":1,"t":1,"m":null},{"k":2,"t":50}]}';
    expect(compare(legacy, '{"s":[{"t":52,"k":2},{"k":1,"t":3}]}', rules).verdict).toBe('match');
    expect(classesOf(legacy, '{"s":[{"t":99,"k":2},{"k":1,"t":3}]}', rules)).toEqual(['value s[].t']);
  });
});
