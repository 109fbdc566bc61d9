import { expect, test, vi } from 'vitest';
import { CoverageKeeper, type CoverageParts } from '../../../../src/engine/coverage/coverage-keeper.ts';
import { createLanes } from '../../../../src/engine/lane/lanes.ts';
import type { CoverageStore, FlagAnswer } from '../../../../src/engine/ports/ports.ts';
import { Coverage } from '../../../../src/engine/ports/service-runtime.ts';
import { laneKeyOf } from '../../../../src/domain/ids.ts';
import { fakeClock, ownerNamed, readableJournal, recorder, SERVICE, servicesWith } from '../engine-parts.ts';

/** A keeper of one covered service, whose next heartbeat comes when the flags change. */
async function createKeeper(facts: Partial<CoverageParts> = {}) {
  const coverage = new Coverage();
  const flags = { enabled: true, reason: 'on' as FlagAnswer['reason'], changed: (): void => undefined };
  const ended = { begin: (): void => undefined, answer: (): void => undefined };
  const isEnding = new Promise<void>((resolve) => (ended.begin = resolve));
  const answered = new Promise<void>((resolve) => (ended.answer = resolve));
  const store: CoverageStore = {
    current: async () => ({ number: 3, isQuiet: true }),
    begin: async () => 4,
    quiet: async () => undefined,
    end: async () => {
      ended.begin();
      await answered;
      return true;
    },
    renewAfterLoss: async () => undefined,
  };
  const beats: Record<string, number>[] = [];
  const parts: CoverageParts = {
    membership: {
      isAlone: true,
      isAnySpilled: false,
      allReport: () => true,
      beat: async (reported) => void beats.push(reported),
      caughtUp: () => undefined,
    },
    unjournaled: { inherit: () => undefined },
    store,
    journal: { outdated: async () => [], returned: async () => [] },
    services: new Map(),
    coverage: new Map([[SERVICE, coverage]]),
    flags: {
      isEnabled: () => ({ enabled: flags.enabled, reason: flags.reason }),
      onChange: (listener) => void (flags.changed = listener),
    },
    mayBegin: () => true,
    copiesAll: true,
    lanes: createLanes(readableJournal({}), fakeClock(), () => false),
    copies: { add: () => undefined },
    waitingLanes: () => [],
    clock: {
      now: () => 0,
      wallMs: () => 0,
      sleep: (_ms: number, signal?: AbortSignal) =>
        new Promise<void>((resolve) => signal?.addEventListener('abort', () => resolve())),
    },
    emit: recorder().emit,
    ...facts,
  };
  const keeper = new CoverageKeeper(parts);
  await keeper.start(false);
  const followed = async (change: Partial<typeof flags>): Promise<void> => {
    const before = beats.length;
    Object.assign(flags, change);
    flags.changed();
    await vi.waitFor(() => expect(beats.length).toBeGreaterThan(before));
  };
  return { keeper, coverage, flags, followed, isEnding, endIsStored: ended.answer };
}

test.each(['stale', 'unknown_flag', 'not_ready'] as const)(
  'a flag that is %s does not end dual writes',
  async (reason) => {
    const { keeper, coverage, followed } = await createKeeper();
    await followed({ enabled: false, reason });
    await followed({});
    expect(coverage.number).toBe(3);
    await keeper.stop();
  },
);

test('writes are journaled until the end of their coverage is stored', async () => {
  const { keeper, coverage, followed, isEnding, endIsStored } = await createKeeper();
  await followed({ enabled: false, reason: 'off' });
  await isEnding;
  expect(coverage.number).toBe(3);
  endIsStored();
  await vi.waitFor(() => expect(coverage.number).toBe(0));
  await keeper.stop();
});

/** The stored coverage of one service, with what its end does. */
function createStore(end: (facts: { open: number; ends: number }) => boolean) {
  const facts = { open: 3, ends: 0 };
  const store: CoverageStore = {
    current: async () => ({ number: facts.open, isQuiet: true }),
    begin: async () => (facts.open = 4),
    quiet: async () => undefined,
    end: async () => {
      facts.ends += 1;
      return end(facts);
    },
    renewAfterLoss: async () => undefined,
  };
  return { facts, store };
}

function answerIsLost(): never {
  throw new Error('the answer is lost');
}

test('dual writes begin again after an end whose answer was lost', async () => {
  const { facts, store } = createStore((stored) => {
    stored.open = 0;
    return answerIsLost();
  });
  const { keeper, coverage, followed } = await createKeeper({ store });
  await followed({ enabled: false, reason: 'off' });
  await vi.waitFor(() => expect(facts.ends).toBe(1));
  await followed({ enabled: true, reason: 'on' });
  await vi.waitFor(() => expect(coverage.number).toBe(4));
  await keeper.stop();
});

test('dual writes begin again after an end that took effect late', async () => {
  const { facts, store } = createStore((stored) => {
    if (stored.ends === 1) return answerIsLost();
    // The statement before has committed meanwhile.
    stored.open = 0;
    return false;
  });
  const { keeper, coverage, followed } = await createKeeper({ store });
  await followed({ enabled: false, reason: 'off' });
  await vi.waitFor(() => expect(facts.ends).toBe(1));
  await followed({});
  await vi.waitFor(() => expect(facts.ends).toBe(2));
  await followed({ enabled: true, reason: 'on' });
  await vi.waitFor(() => expect(coverage.number).toBe(4));
  await keeper.stop();
});

test('dual writes begin again after an end that took effect when the flag was on again', async () => {
  const { facts, store } = createStore(answerIsLost);
  const { keeper, coverage, followed } = await createKeeper({ store });
  await followed({ enabled: false, reason: 'off' });
  await vi.waitFor(() => expect(facts.ends).toBe(1));
  await followed({ enabled: true, reason: 'on' });
  await followed({});
  expect(coverage.number).toBe(3);
  facts.open = 0;
  await followed({});
  await vi.waitFor(() => expect(coverage.number).toBe(4));
  await keeper.stop();
});

test('a service is not covered everywhere while an unjournaled write is under way', async () => {
  const { keeper, coverage } = await createKeeper();
  expect(keeper.isJournaledByAll(SERVICE)).toBe(true);
  coverage.unjournaled = 1;
  expect(keeper.isJournaledByAll(SERVICE)).toBe(false);
  coverage.unjournaled = 0;
  expect(keeper.isJournaledByAll(SERVICE)).toBe(true);
  await keeper.stop();
});

test('a lane that a dead replica returned to legacy is copied without a backfill', async () => {
  const added: string[] = [];
  const { keeper } = await createKeeper({
    copiesAll: false,
    services: servicesWith(),
    journal: { outdated: async () => [], returned: async () => [ownerNamed('ann')] },
    copies: { add: (lane, reason) => void added.push(`${lane.key} ${reason}`) },
  });
  await vi.waitFor(() => expect(added).toEqual([`${laneKeyOf(SERVICE, ownerNamed('ann'))} unseeded`]));
  await keeper.stop();
});
