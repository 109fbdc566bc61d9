import { expect, test } from 'vitest';
import { CANARY_OWNER } from '../../../src/domain/ids.ts';
import type { List } from '../judge.ts';
import { compareClosed, compareFrozen, compareOwners, compareWithAgents, FaultBook } from './compare.ts';

const SOUND: List = {
  name: 'session s',
  expected: ['a', 'b', 'c'],
  legacy: ['a', 'b', 'c'],
  orchestrator: ['a', 'b', 'c'],
  isOrdered: true,
  mayForget: false,
};
const NONE = { lost: 0, duplicated: 0, misordered: 0, resurrected: 0 };

function faultsOf(compare: (at: { step: string; book: FaultBook }) => void) {
  const book = new FaultBook();
  compare({ step: 'tested', book });
  return book.faults;
}

test.each<{ what: string; list: Partial<List>; faults: object }>([
  { what: 'sound stores', list: {}, faults: {} },
  { what: 'an item that legacy lacks', list: { legacy: ['a', 'c'] }, faults: { lost: 1 } },
  {
    what: 'an item that the orchestrator has twice',
    list: { orchestrator: ['a', 'b', 'b', 'c'] },
    faults: { duplicated: 1 },
  },
  { what: 'an item in another place', list: { orchestrator: ['b', 'a', 'c'] }, faults: { misordered: 1 } },
  {
    what: 'a deleted item that came back',
    list: { removed: ['x'], legacy: ['a', 'b', 'c', 'x'] },
    faults: { resurrected: 1 },
  },
  {
    what: 'a write of unknown outcome on both stores',
    list: { maybe: ['m'], legacy: ['a', 'b', 'c', 'm'], orchestrator: ['a', 'b', 'c', 'm'] },
    faults: {},
  },
  {
    what: 'a write of unknown outcome on one store only',
    list: { maybe: ['m'], legacy: ['a', 'b', 'c', 'm'] },
    faults: { misordered: 1 },
  },
])('two open stores: $what', ({ list, faults }) => {
  const found = faultsOf((at) => compareWithAgents([{ ...SOUND, ...list }], ['legacy', 'orchestrator'], at));
  expect(found).toEqual({ ...NONE, ...faults });
});

test('an owner that no agent knows is an item too many, but the canary is none', () => {
  const book = new FaultBook();
  compareOwners(new Set(['ann']), ['ann', CANARY_OWNER, 'eve'], { where: 'tested', book });
  expect(book.faults.duplicated).toBe(1);
  expect(book.findings).toEqual(['tested: eve, which no agent knows: 1 duplicated']);
});

test('a closed store has what agents knew before, and may lack what they wrote since', () => {
  const before = new Map([['session s', { ...SOUND, expected: ['a', 'b'] }]]);
  const closed = (legacy: readonly string[]) =>
    faultsOf((at) => compareClosed(before, [{ ...SOUND, legacy }], at));
  expect(closed(['a', 'b'])).toEqual(NONE);
  expect(closed(['a'])).toEqual({ ...NONE, lost: 1 });
  expect(closed(['a', 'b', 'foreign'])).toEqual({ ...NONE, duplicated: 1 });
});

test('a read-only store has what it had, and what the foreign writer has added', () => {
  const frozen = new Map([['sessions/s', ['a', 'b']]]);
  const foreign = new Map([['sessions/s', 'past the proxy']]);
  const shown = (items: readonly string[]) =>
    faultsOf((at) => compareFrozen(frozen, new Map([['sessions/s', items]]), { foreign, ...at }));
  expect(shown(['a', 'b', 'past the proxy'])).toEqual(NONE);
  expect(shown(['a', 'b'])).toEqual({ ...NONE, lost: 1 });
  expect(shown(['b', 'a', 'past the proxy'])).toEqual({ ...NONE, misordered: 1 });
  expect(shown(['a', 'b', 'past the proxy', 'a late write'])).toEqual({ ...NONE, duplicated: 1 });
});
