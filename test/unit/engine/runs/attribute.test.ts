import { describe, expect, test } from 'vitest';
import type { LegacyItem } from '../../../../src/domain/service-definition.ts';
import { digestOfFields, type ListedMemory } from '../../../../src/engine/items/copy-plan.ts';
import { attribute } from '../../../../src/engine/runs/attribute.ts';

const LANE = 'notes/s1';
const at = (second: number): string => new Date(Date.UTC(2026, 0, 1, 0, 0, second)).toISOString();
const fieldsOf = (text: string) => ({ text: JSON.stringify(text) });
const digest = (text: string): string => digestOfFields(fieldsOf(text));

const lettersOf = (word: string): string[] => word.split('');

/** One letter an item: `abc` is a list of three. Its time is its place. */
function legacy(letters: string): LegacyItem[] {
  return lettersOf(letters).map((letter, index) => ({
    fields: fieldsOf(letter),
    timestamp: at(index),
    at: at(index),
  }));
}

/** An upper-case letter is an item of somebody else: it carries no lane's key. */
function orchestrator(letters: string): ListedMemory[] {
  return lettersOf(letters).map((letter, index) => ({
    fields: fieldsOf(letter.toLowerCase()),
    memory: {
      memory_id: `m${index}`,
      memory_type: 'context',
      content: '{}',
      tags: [],
      position: index,
      created_at: at(index),
      source_agent: null,
      lane_key: letter === letter.toLowerCase() ? LANE : null,
    },
  }));
}

/** What is found, in short: `kind side`, in the order of the alphabet; what vanished from legacy as `vanished letter`. */
function found(lists: { base?: string; legacy: string; orchestrator: string }): string[] {
  const { findings, vanished } = attribute({
    legacy: legacy(lists.legacy),
    orchestrator: orchestrator(lists.orchestrator),
    base: lists.base === undefined ? undefined : lettersOf(lists.base).map(digest),
    laneKey: LANE,
    writerOf: () => undefined,
  });
  return [
    ...findings.map(({ kind, side }) => `${kind} ${side}`),
    ...vanished.map(({ fields }) => `vanished ${JSON.parse(fields['text'] ?? '""') as string}`),
  ].sort();
}

describe('with a known base, every difference is attributed to the side that moved', () => {
  test.each<[what: string, base: string, legacy: string, orchestrator: string, expected: string[]]>([
    ['nothing', 'abc', 'abc', 'abc', []],
    ['altered there', 'abc', 'abc', 'axc', ['altered orchestrator']],
    ['altered here', 'abc', 'axc', 'abc', ['altered legacy']],
    ['added there, ours', 'abc', 'abc', 'abxc', ['resurrected orchestrator']],
    ['added there by somebody', 'abc', 'abc', 'abXc', ['added orchestrator']],
    ['added here', 'abc', 'abcx', 'abc', ['added legacy']],
    ['removed there', 'abc', 'abc', 'ac', ['removed orchestrator']],
    ['removed here', 'abc', 'ac', 'abc', ['vanished b']],
    ['reordered there', 'abc', 'abc', 'acb', ['reordered orchestrator']],
    ['reordered here', 'abc', 'acb', 'abc', ['reordered legacy']],
    ['back from the dead', '', '', 'a', ['resurrected orchestrator']],
    ['gone on both', 'abc', 'ac', 'ac', []],
    ['altered on both', 'abc', 'axc', 'ayc', ['added legacy', 'resurrected orchestrator']],
    [
      'two neighbours altered there',
      'abcd',
      'abcd',
      'axyd',
      ['altered orchestrator', 'altered orchestrator'],
    ],
    [
      'one of two neighbours altered, the other removed here',
      'abcd',
      'axd',
      'abcd',
      ['altered legacy', 'vanished c'],
    ],
    ['a legitimate repetition', 'aab', 'aab', 'ab', ['removed orchestrator']],
    ['a repetition too many there', 'ab', 'ab', 'aab', ['resurrected orchestrator']],
    ['a repetition too many here', 'ab', 'aab', 'ab', ['added legacy']],
    ['repetitions in another order', 'aba', 'aba', 'aab', ['reordered orchestrator']],
    ['all of it gone here', 'abc', '', 'abc', ['vanished a', 'vanished b', 'vanished c']],
    ['all of it gone there', 'abc', 'abc', '', Array.from({ length: 3 }, () => 'removed orchestrator')],
  ])('%s', (_what, base, onLegacy, onOrchestrator, expected) => {
    expect(found({ base, legacy: onLegacy, orchestrator: onOrchestrator })).toEqual(expected);
  });
});

describe('without a base, no side is blamed, and no item of ours may be removed', () => {
  test.each<[legacy: string, orchestrator: string, expected: string[]]>([
    ['abc', 'axc', ['altered unknown']],
    ['abc', 'ac', ['removed unknown']],
    ['ac', 'abc', ['vanished b']],
    ['ac', 'aBc', ['added orchestrator']],
    ['acb', 'abc', ['reordered unknown']],
  ])('%s against %s', (onLegacy, onOrchestrator, expected) => {
    expect(found({ legacy: onLegacy, orchestrator: onOrchestrator })).toEqual(expected);
  });
});

test('only items that were replaced, or never written through the proxy, may go', () => {
  const { removable } = attribute({
    legacy: legacy('axd'),
    orchestrator: orchestrator('abcdY'),
    base: lettersOf('abcd').map(digest),
    laneKey: LANE,
    writerOf: () => undefined,
  });
  expect(removable.map(({ memory_id: id }) => id)).toEqual(['m1', 'm4']);
});

test('an item that lost its tag was altered on the orchestrator; nothing is removed', () => {
  const [first, second] = orchestrator('ab');
  if (first === undefined || second === undefined) throw new Error('two items were made');
  const { findings, removable, vanished } = attribute({
    legacy: legacy('ab'),
    orchestrator: [first, { ...second, dueTags: ['entry'] }],
    base: undefined,
    laneKey: LANE,
    writerOf: () => undefined,
  });
  expect(findings).toEqual([{ side: 'orchestrator', kind: 'altered', memoryId: 'm1' }]);
  expect([...removable, ...vanished]).toEqual([]);
});

test('a writer that bypasses the proxy is named if the service records it', () => {
  const { findings } = attribute({
    legacy: legacy('abx'),
    orchestrator: orchestrator('ab'),
    base: lettersOf('ab').map(digest),
    laneKey: LANE,
    writerOf: ({ fields }) => (fields['text'] === '"x"' ? 'nightly-import' : undefined),
  });
  expect(findings).toEqual([{ side: 'legacy', kind: 'added', after: digest('x'), by: 'nightly-import' }]);
});

test.each([
  ['clock', '"2026-01-01T10:00:00"', '"2026-01-01T11:00:00"'],
  ['rounding', '0.333333', '0.33333'],
  ['encoding', '"caf\\u00e9"', '"cafe\\u0301"'],
  ['default_value', '""', '"x"'],
  [undefined, '"one"', '"two"'],
] as const)('both values of an altered item give the likely cause: %s', (hint, here, there) => {
  const [item] = legacy('a');
  const [memory] = orchestrator('a');
  if (item === undefined || memory === undefined) throw new Error('two lists of one');
  const { findings } = attribute({
    legacy: [{ ...item, fields: { kind: '"entry"', text: here } }],
    orchestrator: [{ ...memory, fields: { kind: '"entry"', text: there } }],
    base: undefined,
    laneKey: LANE,
    writerOf: () => undefined,
  });
  expect(findings).toMatchObject([{ kind: 'altered', ...(hint !== undefined && { hint }) }]);
  expect(findings[0]?.hint).toBe(hint);
});
