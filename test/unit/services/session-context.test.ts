import fc from '../../support/properties.ts';
import { describe, expect, test } from 'vitest';
import { sessionMemory } from '../../../src/services/session-memory/session-memory.ts';
import { Delivered } from './memory-list.ts';
import { ask, say, shownOf } from './session-requests.ts';

describe('get_context', () => {
  test('keeps to the token budget exactly as the service does', () => {
    const texts = fc.array(fc.string({ unit: 'grapheme', maxLength: 60 }), { maxLength: 40 });
    const budgets = fc.oneof(fc.integer({ min: -2, max: 200 }), fc.double({ min: 0, max: 50, noNaN: true }));
    fc.assert(
      fc.property(texts, budgets, (contents, budget) => {
        const delivered = new Delivered(sessionMemory);
        for (const content of contents) delivered.write(say(content));
        const costs = contents.map((content) => Math.floor(Array.from(content).length / 4));
        // As many of the newest as fit one after the other.
        const counts = costs.map((_, index) => costs.slice(index).reduce((sum, cost) => sum + cost, 0));
        const first = counts.findIndex((cost) => cost <= budget);
        const expected = first === -1 ? [] : contents.slice(first);
        expect(shownOf(delivered.read(ask(budget))).map(({ content }) => content)).toEqual(expected);
      }),
      { numRuns: 60 },
    );
  });

  test('continues reading while the budget lasts', () => {
    const delivered = new Delivered(sessionMemory);
    for (let index = 0; index < 2_300; index += 1) delivered.write(say(`${index % 1_000}`));
    expect(shownOf(delivered.read(ask(5))).length).toBe(2_300);
    expect(delivered.list.reads).toBe(4);
    delivered.write(say('x'.repeat(9_000)));
    delivered.write(say('short'));
    expect(shownOf(delivered.read(ask())).map(({ content }) => content)).toEqual(['short']);
  });

  test.each([['"many"'], ['null'], ['[1]'], ['{}']])('a budget of %s answers nothing', (budget) => {
    const delivered = new Delivered(sessionMemory);
    delivered.write(say('x'));
    expect(
      shownOf(delivered.read(`{"action":"get_context","session_id":"s","max_tokens":${budget}}`)),
    ).toEqual([]);
  });

  test.each([
    ['NaN', 2],
    ['Infinity', 2],
    ['-Infinity', 0],
    ['true', 1],
    ['false', 0],
  ])('a budget of %s answers %i of two', (budget, count) => {
    const delivered = new Delivered(sessionMemory);
    delivered.write(say('first'));
    delivered.write(say('second'));
    const reply = delivered.read(`{"action":"get_context","session_id":"s","max_tokens":${budget}}`);
    expect(shownOf(reply)).toHaveLength(count);
  });

  test('a text-only read: any other content makes the service answer nothing', () => {
    const delivered = new Delivered(sessionMemory);
    delivered.write(say(5));
    delivered.write(say('after'));
    expect(shownOf(delivered.read(ask()))).toEqual([]);
    expect(shownOf(delivered.read(ask(0)))).toEqual([]);
    delivered.write(say('x'.repeat(8_004)));
    delivered.write(say('newest'));
    expect(shownOf(delivered.read(ask()))).toHaveLength(1);
  });

  test('hides forgotten items, and keeps its place', () => {
    const delivered = new Delivered(sessionMemory);
    for (let index = 0; index < 150; index += 1) delivered.write(say(`old ${index}`));
    delivered.list.forget();
    delivered.write(say('new', { metadata: { tags: ['forgotten'] } }));
    expect(shownOf(delivered.read(ask())).map(({ content }) => content)).toEqual(['new']);
  });

  test('a cleared session is empty, and later items are not', () => {
    const delivered = new Delivered(sessionMemory);
    delivered.write(say('before'));
    delivered.write('{"action":"clear_session","session_id":"s"}');
    delivered.write(say('after'));
    expect(shownOf(delivered.read(ask())).map(({ content }) => content)).toEqual(['after']);
    delivered.write('{"action":"delete_session","session_id":"s"}');
    expect(shownOf(delivered.read(ask()))).toEqual([]);
    expect(delivered.list.sessions.get('s')).toMatchObject({ archive: true });
  });
});
