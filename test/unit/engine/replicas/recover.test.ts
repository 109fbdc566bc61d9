import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { laneKeyOf, operationId } from '../../../../src/domain/ids.ts';
import { createLanes } from '../../../../src/engine/lane/lanes.ts';
import type { Recovery } from '../../../../src/engine/ports/journal-facts.ts';
import { TakeOver } from '../../../../src/engine/replicas/take-over.ts';
import {
  coverageOf,
  fakeClock,
  ownerNamed,
  readableJournal,
  SERVICE,
  stateOf,
  takenJournal,
  takeOverParts,
  writeOf,
} from '../engine-parts.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

const OWNER = 'ann';
const KEY = laneKeyOf(SERVICE, ownerNamed(OWNER));
const NOTHING: Recovery = { dirty: [], unclosed: [], pending: [], open: [] };

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
      closeFound: () => void done.push('look once more'),
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

test('a write that a dead replica left open is closed by one attempt at a time', async () => {
  let closing = 0;
  const ref = { laneId: 1, lane: KEY, sequence: 3 };
  const id = operationId('123e4567-e89b-42d3-a456-426614174000');
  const open = [{ ref, operationId: id, epoch: 1, generation: 0 }];
  const journal = readableJournal({ lanes: [{ owner: OWNER, state: {} }] });
  const takeOver = new TakeOver(
    takeOverParts({
      journal: takenJournal({ ...journal, recover: async () => ({ ...NOTHING, open }) }),
      lanes: createLanes(journal, fakeClock(), () => false),
      orchestratorPrimary: {
        close: () => {
          closing += 1;
          return new Promise(() => undefined);
        },
      },
    }),
  );
  await takeOver.recover();
  await takeOver.recover(KEY);
  expect(closing).toBe(1);
});

test('a return to legacy ends the close of a write that a dead replica left open', async () => {
  const attempt = Promise.withResolvers<void>();
  const done: string[] = [];
  const ref = { laneId: 1, lane: KEY, sequence: 3 };
  const open = [{ ref, operationId: operationId('3'), epoch: 1, generation: 0 }];
  const journal = readableJournal({
    lanes: [{ owner: OWNER, state: { primary: 'orchestrator', epoch: 1 } }],
  });
  const lanes = createLanes(journal, fakeClock(), () => false);
  const takeOver = new TakeOver(
    takeOverParts({
      journal: takenJournal({ ...journal, recover: async () => ({ ...NOTHING, open }) }),
      lanes,
      orchestratorPrimary: {
        close: async (_open, isOver) => {
          await attempt.promise;
          return isOver?.() === true ? 'given_up' : { outcome: 'applied' };
        },
      },
      kept: { lost: async () => void done.push('reply is lost') },
      deliverer: {
        resume: () => undefined,
        resumeForeign: () => void done.push('deliver'),
        forget: () => undefined,
      },
    }),
  );
  await takeOver.recover();
  const lane = await lanes.load(SERVICE, ownerNamed(OWNER));
  expect(lane.isClosing).toBe(true);
  lane.adopt(stateOf(lane, { primary: 'legacy', epoch: 2 }));
  attempt.resolve();
  await vi.waitFor(() => expect(lane.isClosing).toBe(false));
  expect(done).toEqual([]);
});

test('a recovery is repeated once, for what a dead process has stored since', async () => {
  const clock = fakeClock();
  let recoveries = 0;
  const journal = takenJournal({
    recover: async () => {
      recoveries += 1;
      return NOTHING;
    },
  });
  const takeOver = new TakeOver(takeOverParts({ journal, clock }));
  const laterBy = async (ms: number): Promise<number> => {
    await clock.pass(ms);
    await takeOver.recoverAgain();
    return recoveries;
  };
  expect(await laterBy(60_000)).toBe(0);
  await takeOver.recover();
  expect(await laterBy(29_000)).toBe(1);
  expect(await laterBy(2_000)).toBe(2);
  expect(await laterBy(60_000)).toBe(2);
});

test('a lane that was read before its home died is this replica’s after that', async () => {
  let isHome = false;
  const open = [{ ref: writeOf({ key: KEY }, 2), operationId: operationId('2'), epoch: 1, generation: 0 }];
  const journal = takenJournal({
    lanes: async () => new Map([[KEY, stateOf({ key: KEY }, { isHome })]]),
    recover: async () => {
      isHome = true;
      return { ...NOTHING, open };
    },
  });
  const lanes = createLanes(journal, fakeClock(), () => false);
  const lane = await lanes.load(SERVICE, ownerNamed(OWNER));
  expect(lane.isHome).toBe(false);
  await new TakeOver(takeOverParts({ journal, lanes })).recover();
  expect(lane.isHome).toBe(true);
});
