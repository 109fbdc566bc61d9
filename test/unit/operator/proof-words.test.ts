import { expect, test } from 'vitest';
import { noProofWords } from '../../../src/operator/words.ts';

test('comparisons without proof are listed by reason, most frequent first', () => {
  expect(noProofWords({ repeat: 26, racy: 180, too_large: 1 })).toEqual([
    '180 lane changed meanwhile',
    '26 repeats within 15 minutes',
    '1 too large',
  ]);
});
