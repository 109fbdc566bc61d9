import { expect, test } from 'vitest';
import type { LegacyLane } from '../../../../src/domain/service-definition.ts';
import { digestOfFields } from '../../../../src/engine/items/copy-plan.ts';
import {
  type ReverseEffect,
  shownOf,
  tailAfter,
  tailOf,
} from '../../../../src/engine/reverse/legacy-tail.ts';

const NO_LIMIT = {};
const FIFTY = { entries: 50 };

function fieldsOf(text: string): Readonly<Record<string, string>> {
  return { memory: JSON.stringify(text) };
}

function laneOf(...texts: readonly string[]): LegacyLane {
  const items = texts.map((text) => ({
    fields: fieldsOf(text),
    timestamp: '',
    at: '2026-01-01T00:00:00.000Z',
  }));
  return { exists: texts.length > 0, items };
}

function adding(...texts: readonly string[]): ReverseEffect {
  const adds = texts.map((text) => ({ digest: digestOfFields(fieldsOf(text)), isCounted: true }));
  return { adds, removes: false };
}

const REMOVING: ReverseEffect = { adds: [], removes: true };

function shown(
  before: readonly string[],
  effect: ReverseEffect,
  now: readonly string[],
  retention: { readonly entries?: number } = NO_LIMIT,
) {
  return shownOf({ before: tailOf(laneOf(...before), retention), effect, lane: laneOf(...now), retention });
}

const MANY = Array.from({ length: 50 }, (_, index) => `item ${index}`);
const EQUAL = Array.from({ length: 50 }, () => 'again');

test.each([
  { what: 'an item is there', before: ['a'], now: ['a', 'b'], is: 'applied' },
  { what: 'an item is missing', before: ['a'], now: ['a'], is: 'missing' },
  { what: 'the first item is there', before: [], now: ['b'], is: 'applied' },
  { what: 'the first item is missing', before: [], now: [], is: 'missing' },
  { what: 'an equal item is there once more', before: ['b', 'b'], now: ['b', 'b', 'b'], is: 'applied' },
  { what: 'an equal item is not there once more', before: ['b', 'b'], now: ['b', 'b'], is: 'missing' },
  { what: 'another writer came first', before: ['a'], now: ['a', 'x', 'b'], is: 'applied' },
  { what: 'only another writer came', before: ['a'], now: ['a', 'x'], is: 'missing' },
  { what: 'the list is another one', before: ['a', 'c'], now: ['x', 'b'], is: 'undecided' },
] as const)('$what: $is', ({ before, now, is }) => {
  expect(shown(before, adding('b'), now)).toBe(is);
});

test('a list that the service cuts shows a write by its end', () => {
  expect(shown(MANY, adding('b'), [...MANY.slice(1), 'b'], FIFTY)).toBe('applied');
  expect(shown(MANY, adding('b'), MANY, FIFTY)).toBe('missing');
});

test('a cut list of equal items does not tell, so a person decides', () => {
  expect(shown(EQUAL, adding('again'), EQUAL, FIFTY)).toBe('undecided');
});

test.each([
  { what: 'everything is gone', before: ['a', 'b'], now: [], is: 'applied' },
  { what: 'everything is there', before: ['a', 'b'], now: ['a', 'b'], is: 'missing' },
  { what: 'another writer came after it', before: ['a', 'b'], now: ['x'], is: 'applied' },
  { what: 'another writer came before it', before: ['a'], now: ['a', 'x'], is: 'missing' },
  { what: 'nothing was there', before: [], now: [], is: 'applied' },
] as const)('of a removal, $what: $is', ({ before, now, is }) => {
  expect(shown(before, REMOVING, now)).toBe(is);
});

test('an owner without items is there or not', () => {
  const look = (exists: boolean) =>
    shownOf({
      before: tailOf({ exists: false, items: [] }, NO_LIMIT),
      effect: { adds: [], removes: false },
      lane: { exists, items: [] },
      retention: NO_LIMIT,
    });
  expect(look(true)).toBe('applied');
  expect(look(false)).toBe('missing');
});

test.each([
  { what: 'its item is the newest', before: ['a', 'b'], now: ['b', 'new'], is: 'applied' },
  { what: 'nothing has changed', before: ['a', 'b'], now: ['a', 'b'], is: 'missing' },
  { what: 'the owner still has no items', before: [], now: [], is: 'missing' },
  { what: 'another writer has changed the list', before: ['a', 'b'], now: ['b', 'c'], is: 'undecided' },
])('a write that replaces an item is judged by it: $what', ({ before, now, is }) => {
  const effect = { adds: [{ digest: digestOfFields(fieldsOf('new')), isCounted: true }], removes: true };
  const [then, lane] = [tailOf(laneOf(...before), NO_LIMIT), laneOf(...now)];
  expect(shownOf({ before: then, effect, lane, retention: NO_LIMIT })).toBe(is);
});

test('a named item that is there once less was removed or rewritten', () => {
  const named = [{ digest: digestOfFields(fieldsOf('b')), newer: 0 }];
  const before = tailOf(laneOf('b', 'a', 'b'), NO_LIMIT, named);
  const look = (...now: string[]) =>
    shownOf({
      before,
      effect: { adds: [], removes: false },
      lane: laneOf(...now),
      retention: NO_LIMIT,
    });
  expect(look('b', 'a')).toBe('applied');
  expect(look('b', 'a', 'rewritten')).toBe('applied');
  expect(look('b', 'a', 'b')).toBe('missing');
  expect(look('b', 'a', 'b', 'x')).toBe('undecided');
});

test('a tail follows the writes that legacy has accepted', () => {
  const after = tailAfter(tailOf(laneOf(...MANY), FIFTY), adding('b'), FIFTY);
  expect(after).toEqual(tailOf(laneOf(...MANY.slice(1), 'b'), FIFTY));
  expect(tailAfter(tailOf(laneOf('a'), NO_LIMIT), REMOVING, NO_LIMIT)).toBeUndefined();
});

test('a tail is short, and holds no content', () => {
  const text = JSON.stringify(tailOf(laneOf(...MANY, ...MANY), NO_LIMIT));
  expect(text.length).toBeLessThan(1_000);
  expect(text).not.toContain('item 4');
});
