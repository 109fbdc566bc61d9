import fc from '../../support/properties.ts';
import { describe, test } from 'vitest';
import { ask, Both, decide, entry } from './contextual-both.ts';

describe('get_context agrees with the service', () => {
  const TYPES = [
    'code',
    'user_query',
    'system_response',
    'error',
    'other',
    null,
    5,
    'entry',
    'summary',
    'forgotten',
  ];
  const WORDS = [
    'database',
    'Web',
    'HTTP',
    'thread',
    'async',
    'api',
    'error',
    'Exception',
    '\n',
    '\u2028',
    'ñ😀',
    'x',
  ];
  const texts = fc
    .array(fc.constantFrom(...WORDS), { maxLength: 60, size: 'max' })
    .map((words) => words.join(' '));
  const contents = fc.oneof(
    { weight: 20, arbitrary: texts },
    {
      weight: 1,
      arbitrary: fc.constantFrom<unknown>(null, 5, { a: 1 }, ['a', "it's", 1.5, null, true], undefined),
    },
  );
  const writes = fc.oneof(
    {
      weight: 12,
      arbitrary: fc
        .tuple(fc.constantFrom<unknown>(...TYPES), contents)
        .map(([type, content]) => entry(type, content)),
    },
    { weight: 1, arbitrary: fc.oneof(texts, fc.jsonValue()).map((decision) => decide(decision)) },
  );
  const budgets = fc.constantFrom<unknown>(undefined, 2_000, 400, 100, 3, 0, -4, 1.5, 'x', null, true);

  test('after any number of writes', () => {
    fc.assert(
      fc.property(
        fc.array(writes, { minLength: 1, maxLength: 130, size: 'max' }),
        budgets,
        (list, budget) => {
          const both = new Both();
          for (const text of list) both.write(text);
          both.expectAgreement(ask());
          both.expectAgreement(ask(budget));
        },
      ),
      // Shrinking such lists takes minutes.
      { numRuns: 60, endOnFailure: true },
    );
  });

  test('after a copy at any moment', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(writes, { maxLength: 120, size: 'max' }),
        fc.array(writes, { maxLength: 60, size: 'max' }),
        async (before, after) => {
          const both = new Both();
          for (const text of before) both.write(text);
          await both.copy();
          both.expectAgreement(ask());
          for (const text of after) both.write(text);
          both.expectAgreement(ask());
          await both.copy();
          both.expectAgreement(ask());
        },
      ),
      // Shrinking such lists takes minutes.
      { numRuns: 60, endOnFailure: true },
    );
  });

  test('while code that is not text keeps the service from summarizing', () => {
    const both = new Both();
    for (let index = 0; index < 60; index += 1) both.write(entry('user_query', `query ${index}`));
    both.write(entry('code', 5));
    for (let index = 0; index < 55; index += 1) {
      both.write(entry('user_query', `later ${index}`));
      both.expectAgreement(ask());
    }
  });

  test('with more decisions than a page holds', () => {
    const both = new Both();
    for (let index = 0; index < 1_003; index += 1) both.write(decide(index));
    for (let index = 0; index < 55; index += 1) both.write(entry('code', index === 54 ? null : 'x'));
    both.expectAgreement(ask());
  });
});
