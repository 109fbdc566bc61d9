import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { laneKeyOf, replicaId } from '../../../../src/domain/ids.ts';
import type { LaneState } from '../../../../src/domain/lane.ts';
import type { Recovery } from '../../../../src/engine/ports/journal-facts.ts';
import { Fences } from '../../../../src/engine/lane/fence.ts';
import { createLanes } from '../../../../src/engine/lane/lanes.ts';
import { ReplicaIdentity, type ReplicaReport } from '../../../../src/engine/ports/replica-ports.ts';
import { Membership } from '../../../../src/engine/replicas/membership.ts';
import { TakeOver } from '../../../../src/engine/replicas/take-over.ts';
import {
  coverageOf,
  fakeClock,
  ownerNamed,
  SERVICE,
  outcomeRecorderOf,
  stateOf,
  takenJournal,
  takeOverParts,
} from '../engine-parts.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

const ANN = ownerNamed('ann');
const NOTHING: Recovery = { dirty: [], pending: [], unclosed: [], open: [] };
const OTHER: ReplicaReport = { replica: replicaId('other'), silentMs: 0, coverage: {} };

/** A replica beside another one, the home of a lane that both know as clean, before a journal whose row can be changed. */
async function createPair() {
  const clock = fakeClock();
  const rows = { state: stateOf({ key: laneKeyOf(SERVICE, ANN) }, { seededCoverage: 1, isHome: false }) };
  const recoveries: ((found: Recovery) => void)[] = [];
  const journal = {
    ...takenJournal(),
    lanes: async () => new Map([[laneKeyOf(SERVICE, ANN), rows.state]]),
    recover: () => new Promise<Recovery>((resolve) => recoveries.push(resolve)),
    fence: async () => ({ state: rows.state, isBehind: false, coverage: 1, isReplicaSilent: false }),
  };
  const others: ReplicaReport[] = [OTHER];
  const identity = new ReplicaIdentity(() => replicaId('this'));
  const lanes = createLanes(journal, clock, () => false);
  const takeOver = new TakeOver(
    takeOverParts({ identity, journal, lanes, clock, outcomeRecorder: outcomeRecorderOf(clock) }),
  );
  const membership = new Membership({
    identity,
    store: {
      register: async () => others.length,
      heartbeat: async (replica) => ({
        replicas: [{ replica, silentMs: 0, coverage: {} }, ...others],
        isAnySpilled: false,
        nowMs: 0,
      }),
      leave: async () => undefined,
    },
    clock,
    isSpilling: () => false,
    shares: () => ({}),
    signals: { replicasChanged: (what) => takeOver.changed(what) },
  });
  const isAlone = (): boolean => membership.isAlone;
  const fences = new Fences({ journal, coverage: coverageOf(1), clock, isAlone, isSpilling: () => false });
  await membership.beat({});
  const lane = await lanes.load(SERVICE, ANN);
  return {
    lane,
    membership,
    recoveries,
    fence: async () => fences.look(await lanes.load(SERVICE, ANN)),
    becomes: (facts: Partial<LaneState>) => (rows.state = { ...rows.state, ...facts }),
    async isLeft() {
      others.length = 0;
      await membership.beat({});
    },
    async isSilent() {
      others.splice(0, 1, { ...OTHER, silentMs: 4_000 });
      await membership.beat({});
    },
    async recovers() {
      recoveries.shift()?.(NOTHING);
      await vi.advanceTimersByTimeAsync(0);
    },
  };
}

test('observations of a departed replica about a lane are known', async () => {
  const pair = await createPair();
  expect(await pair.fence()).toBeUndefined();
  pair.becomes({ condition: 'stopped', exceptions: 1 });
  await pair.isLeft();
  expect(pair.membership.isAlone).toBe(false);
  expect(await pair.fence()).toBe('stopped');
  await pair.recovers();
  expect(pair.membership.isAlone).toBe(true);
  expect(await pair.fence()).toBe('stopped');
  pair.becomes({ condition: 'clean' });
  expect(await pair.fence()).toBe('stopped');
});

test('a replica that remembers being the home of a lane still asks for it', async () => {
  const pair = await createPair();
  pair.lane.adopt(stateOf(pair.lane, { isHome: true }));
  pair.becomes({ exceptions: 2, isHome: true });
  await pair.isLeft();
  await pair.recovers();
  expect(await pair.fence()).toBe('excepted');
});

test('a lane in work is not queried, because memory is ahead of the journal', async () => {
  const pair = await createPair();
  pair.lane.adopt(stateOf(pair.lane, { isHome: true }));
  pair.lane.beginCopy();
  await pair.isLeft();
  await pair.recovers();
  expect(pair.lane.isLoaded).toBe(true);
  expect(await pair.fence()).toBe('copying');
});

test('one take-over runs at a time, and again if requested meanwhile', async () => {
  const pair = await createPair();
  await pair.isSilent();
  await pair.isSilent();
  expect(pair.recoveries).toHaveLength(1);
  await pair.recovers();
  expect(pair.recoveries).toHaveLength(1);
  await pair.recovers();
  expect(pair.recoveries).toHaveLength(0);
});
