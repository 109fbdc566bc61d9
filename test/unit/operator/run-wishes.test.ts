import { expect, test } from 'vitest';
import { ownerIn, responsibleOf } from '../../../src/operator/run-wishes.ts';

test.each([' ', ' ann', 'ann ', 'a'.repeat(512)])('the owner %j is used unchanged', (owner) => {
  expect(ownerIn({ owner })).toBe(owner);
});

test.each(['', 7, null, ['ann'], 'a\u0000', 'a'.repeat(513)])('%j is not a valid owner', (owner) => {
  expect(() => ownerIn({ owner })).toThrow('invalid owner');
});

test('without an owner in the body there is none', () => {
  expect(ownerIn({})).toBeUndefined();
});

test.each(['a\u0000b', 'a\ud800'])('a reason that cannot be stored is refused: %j', (reason) => {
  expect(() => responsibleOf({ person: 'ann', reason })).toThrow(
    'reason contains characters that cannot be stored',
  );
});
