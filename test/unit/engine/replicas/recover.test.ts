import { expect, test } from 'vitest';
import { laneKeyOf } from '../../../../src/domain/ids.ts';
import { createLanes } from '../../../../src/engine/lane/lanes.ts';
import type { Recovery } from '../../../../src/engine/ports/journal-facts.ts';
import { TakeOver } from '../../../../src/engine/replicas/take-over.ts';
import {
  coverageOf,
  fakeClock,
  ownerNamed,
  readableJournal,
  SERVICE,
  takenJournal,
  takeOverParts,
} from '../engine-parts.ts';

const OWNER = 'ann';
const KEY = laneKeyOf(SERVICE, ownerNamed(OWNER));
const NOTHING: Recovery = { dirty: [], unclosed: [], pending: [] };

/** What a replica that takes over does with what the journal says the dead one has left. */
async function taken(seededCoverage: number, found: Partial<Recovery>) {
  const done: string[] = [];
  const journal = readableJournal({ lanes: [{ owner: OWNER, state: { seededCoverage } }] });
  const parts = takeOverParts({
    journal: takenJournal({ ...journal, recover: async () => ({ ...NOTHING, ...found }) }),
    lanes: createLanes(journal, fakeClock(), () => false),
    coverage: coverageOf(2),
    deliverer: {
      resume: (_lane, newest) => void done.push(`deliver up to ${newest}`),
      resumeForeign: () => undefined,
      forget: () => undefined,
    },
    copies: { add: (_lane, reason) => void done.push(`copy ${reason}`), forget: () => undefined },
    settler: {
      resume: () => void done.push('settle'),
      closeLater: () => void done.push('look once more'),
      copyAnew: () => undefined,
    },
  });
  const takeOver = new TakeOver(parts);
  await takeOver.recover();
  return done;
}

test('an unseeded lane with waiting writes is copied by the replica that takes over', async () => {
  expect(await taken(1, { pending: [{ lane: KEY, newest: 7 }] })).toEqual([
    'deliver up to 7',
    'copy unseeded',
  ]);
});

test('a seeded lane with waiting writes needs no copy', async () => {
  expect(await taken(2, { pending: [{ lane: KEY, newest: 7 }] })).toEqual(['deliver up to 7']);
});

test('a lane with an unsettled intent is settled, one with an unknown outcome copied', async () => {
  expect(await taken(2, { dirty: [KEY] })).toEqual(['settle']);
  expect(await taken(2, { unclosed: [KEY] })).toEqual(['look once more']);
});
