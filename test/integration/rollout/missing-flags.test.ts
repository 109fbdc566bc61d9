import { expect, test } from 'vitest';
import { SERVICE_FLAGS, flagName, KILL_SWITCH } from '../../../src/domain/flags.ts';
import { misspelling, missingFlags } from '../../../src/rollout/definition-store.ts';
import { SERVICE } from './flag-builder.ts';

const ALL = [...SERVICE_FLAGS.map((flag) => flagName(SERVICE, flag)), KILL_SWITCH];
const [FIRST = '', ...OTHERS] = ALL;

test('a missing flag is reported with possible typos', () => {
  const found = missingFlags([...OTHERS, `${FIRST}s`, 'somebody.elses'], [SERVICE]);
  expect(found).toEqual({ missing: [FIRST], misspelled: [`${FIRST}s`] });
  expect(misspelling(found)).toContain(`${FIRST}s`);
});

test('unknown flags are not typos while no flag of ours is missing', () => {
  const found = missingFlags([...ALL, 'crossfade.another-service.dual-write'], [SERVICE]);
  expect(found).toEqual({ missing: [], misspelled: [] });
  expect(misspelling(found)).toBeUndefined();
});
