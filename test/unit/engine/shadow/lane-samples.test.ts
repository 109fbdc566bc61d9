import { expect, test } from 'vitest';
import type { Backend } from '../../../../src/domain/backend.ts';
import type { Owner } from '../../../../src/domain/ids.ts';
import { createEvents } from '../../../../src/engine/ports/events.ts';
import type { Clock } from '../../../../src/shared/clock.ts';
import type { LaneComparer } from '../../../../src/engine/runs/lane-comparer.ts';
import { LaneSamples } from '../../../../src/engine/shadow/lane-samples.ts';
import type { LaneFilter } from '../../../../src/engine/runs/lane-filter.ts';
import { sessionMemory } from '../../../../src/services/session-memory/session-memory.ts';
import { eventually } from '../../../support/eventually.ts';
import { mappedOf, ownerNamed, serviceWith } from '../engine-parts.ts';

interface Store {
  /** What one reading of many lanes takes, and each reading of one that is looked at by itself. */
  readonly siftMs: number;
  readonly lookMs?: readonly number[];
  readonly replicas?: number;
  /** @defaultValue orchestrator */
  readonly secondary?: Backend;
}

/** Samples over a legacy store that takes so long, on a clock that moves when somebody sleeps on it or reads. */
function samplesOver({ siftMs, lookMs = [], replicas = 1, secondary = 'orchestrator' }: Store) {
  let nowMs = 0;
  const slept: number[] = [];
  const sleep = async (ms: number): Promise<void> => {
    slept.push(ms);
    nowMs += ms;
  };
  const clock: Clock = { now: () => nowMs, wallMs: () => nowMs, sleep };
  const sift: LaneFilter['sift'] = async (_service, owners) => {
    nowMs += siftMs;
    return { equal: [], doubtful: owners, readingMs: siftMs };
  };
  const compare: LaneComparer['compare'] = async (_name, _owner, patience) => {
    for (const ms of lookMs) patience?.onRead?.(ms);
    return { secondary, verdict: 'not_comparable', reason: 'dirty' };
  };
  const events = createEvents();
  let concluded = 0;
  const names = new Set<string>();
  events.subscribe((name) => {
    names.add(name);
    if (name === 'lane:compared' || name === 'flipped:compared') concluded += 1;
  });
  const samples = new LaneSamples({
    laneFilter: { sift },
    comparer: { compare },
    verdicts: {
      concludeLane: (_of, comparison) => comparison,
      concludeFlipped: (_of, { comparison }) => comparison,
    },
    differences: { add: async () => undefined } as never,
    lostItems: {} as never,
    random: () => 0,
    clock,
    emit: events.emit,
    percentage: 100,
    replicas: () => replicas,
  });
  const service = serviceWith({ definition: sessionMemory, access: { sqlite: async () => [] } });
  /** Queues a lane, and waits until it was compared. */
  async function sample(owner: Owner): Promise<void> {
    const before = concluded;
    const read = mappedOf(JSON.stringify({ action: 'get_context', session_id: owner }), { service });
    samples.sample({ ...read, action: { ...read.action, onLegacy: () => 'loads' } });
    await eventually('it is compared', () => concluded > before);
    await new Promise(setImmediate);
  }
  return { slept, sample, names };
}

async function pausesOf(store: Store): Promise<readonly number[]> {
  const { slept, sample } = samplesOver(store);
  for (const name of ['ann', 'bob', 'eve']) await sample(ownerNamed(name));
  return slept;
}

test('a fast store is read at most once per second', async () => {
  expect(await pausesOf({ siftMs: 20 })).toEqual([1_000, 1_000, 1_000]);
});

test('a store is read at most a tenth of the time, however long it takes', async () => {
  expect(await pausesOf({ siftMs: 500 })).toEqual([1_000, 4_500, 4_500]);
  expect(await pausesOf({ siftMs: 30_000 })).toEqual([1_000, 270_000, 270_000]);
});

test('the time of lanes that are compared one by one is measured too', async () => {
  expect(await pausesOf({ siftMs: 100, lookMs: [400, 400, 100] })).toEqual([1_000, 9_000, 9_000]);
});

test('the comparison of a flipped lane is no evidence', async () => {
  const { sample, names } = samplesOver({ siftMs: 1, secondary: 'legacy' });
  await sample(ownerNamed('ann'));
  expect([...names]).toEqual(['flipped:compared']);
});

test('several replicas share the tenth', async () => {
  expect(await pausesOf({ siftMs: 500, replicas: 3 })).toEqual([1_000, 14_500, 14_500]);
});
