import { beforeEach, describe, expect, test } from 'vitest';
import type { LaneKey, Owner } from '../../../../src/domain/ids.ts';
import { CANARY_OWNER, laneKeyOf, serviceName } from '../../../../src/domain/ids.ts';
import type { LegacyLane } from '../../../../src/domain/service-definition.ts';
import { type CensusParts, takeCensus } from '../../../../src/engine/ends/census.ts';
import { baselineOf } from '../../../../src/engine/items/copy-plan.ts';
import type { BaselineEntry } from '../../../../src/engine/ports/journal-facts.ts';
import type { LastForLegacy, ServiceWrites } from '../../../../src/engine/ports/service-writes-ports.ts';
import { sessionMemory } from '../../../../src/services/session-memory/session-memory.ts';
import { ownerNamed, serviceWith } from '../engine-parts.ts';

const NAME = serviceName('session-memory');
const SETTLED_MS = Date.parse('2026-11-01T00:00:00Z');
const DAY_MS = 86_400_000;
const ANN = ownerNamed('ann');

const WRITES: ServiceWrites = {
  service: NAME,
  state: 'read_only',
  person: 'ada',
  reason: 'a test',
  sinceMs: SETTLED_MS - 1_000,
  settledAtMs: SETTLED_MS,
  clockRestarts: 0,
};

const item = (content: string, metadata = '{}') => ({
  fields: { role: '"user"', content: JSON.stringify(content), metadata },
  timestamp: '2026-10-01T00:00:00',
  at: '2026-10-01T00:00:00.000Z',
});

const lane = (contents: readonly string[], more: Partial<LegacyLane> = {}): LegacyLane => ({
  exists: true,
  items: contents.map((content) => item(content)),
  ...more,
});

const GONE: LegacyLane = { exists: false, items: [] };

/** What legacy shows, what both sides were last found to hold, and when the lane was last written to. */
let shown: Map<Owner, LegacyLane>;
let baselines: Map<LaneKey, Pick<BaselineEntry, 'sequence' | 'items'>>;
let last: Map<Owner, LastForLegacy>;
let writtenAgoMs: number;
let forgottenThrough: number | undefined;

beforeEach(() => {
  shown = new Map();
  baselines = new Map();
  last = new Map();
  writtenAgoMs = DAY_MS;
  forgottenThrough = undefined;
});

/** Legacy gets nothing of this lane after sequence 2. */
function known(owner: Owner, contents: readonly string[], isGivenUp = false): void {
  shown.set(owner, lane(contents));
  baselines.set(laneKeyOf(NAME, owner), { sequence: 2, items: baselineOf(lane(contents).items) });
  last.set(owner, { sequence: 2, isGivenUp });
}

function census() {
  const { lanes } = sessionMemory;
  const definition = {
    ...sessionMemory,
    lanes: {
      ...lanes,
      owners: async () => [...shown].filter(([, { exists }]) => exists).map(([owner]) => owner),
      readMany: async (owners: readonly Owner[]) =>
        new Map(owners.flatMap((owner) => (shown.has(owner) ? [[owner, shown.get(owner) ?? GONE]] : []))),
      writerOf: () => 'cron',
      retention: { idleSeconds: 3_600 },
    },
  };
  const parts: CensusParts = {
    baselines: {
      of: async (key) => baselines.get(key),
      save: async ({ lane: key, sequence, items }) => void baselines.set(key, { sequence, items }),
    },
    history: { between: async () => [] },
    journal: {
      lastApplied: async () => ({
        nowMs: SETTLED_MS,
        atMs: SETTLED_MS - writtenAgoMs,
        ...(forgottenThrough !== undefined && { forgottenThrough }),
      }),
    },
    clock: { now: () => 0, wallMs: () => SETTLED_MS, sleep: async () => undefined },
  };
  const service = serviceWith({ name: NAME, definition });
  return takeCensus({ service, writes: WRITES, last }, parts);
}

describe('a census of a read-only legacy', () => {
  test('finds no foreign writer or reader in the owner that proves the way back', async () => {
    known(ANN, ['a']);
    shown.set(CANARY_OWNER, lane(['canary'], { usedAt: new Date(SETTLED_MS + DAY_MS).toISOString() }));
    const { result, foreign } = await census();
    expect(foreign).toEqual([]);
    expect(result).toMatchObject({ lanes: 1, equal: 1, unproven: 0 });
  });

  test('finds lanes that hold what both sides held', async () => {
    known(ANN, ['a', 'b']);
    const { result, foreign } = await census();
    expect(result).toMatchObject({ lanes: 1, equal: 1, unproven: 0, forgotten: { lanes: 0, items: 0 } });
    expect(foreign).toEqual([]);
  });

  test('names the writer of an item that no write explains', async () => {
    known(ANN, ['a']);
    shown.set(ANN, lane(['a', 'b']));
    const { result, foreign } = await census();
    expect(result.equal).toBe(0);
    expect(foreign).toMatchObject([
      { owner: ANN, kind: 'writer', changes: { added: 1, removed: 0 }, writers: ['cron'] },
    ]);
  });

  test('gives the same change the same digest, and another one another', async () => {
    known(ANN, ['a']);
    shown.set(ANN, lane(['a', 'b']));
    const [first] = (await census()).foreign;
    const [again] = (await census()).foreign;
    shown.set(ANN, lane(['a', 'c']));
    const [other] = (await census()).foreign;
    expect(again?.digest).toBe(first?.digest);
    expect(other?.digest).not.toBe(first?.digest);
  });

  test('sees an altered item and a removed one, also among equal items', async () => {
    known(ANN, ['a', 'a', 'b']);
    shown.set(ANN, lane(['a', 'c']));
    expect((await census()).foreign).toMatchObject([{ changes: { added: 1, removed: 2 } }]);
  });

  test('finds an owner whom legacy was never given', async () => {
    shown.set(ownerNamed('stranger'), lane(['a']));
    expect((await census()).foreign).toMatchObject([{ owner: 'stranger', kind: 'writer' }]);
  });

  test('calls an owner forgotten that was idle for as long as the service keeps it', async () => {
    known(ANN, ['a', 'b']);
    shown.delete(ANN);
    const { result, foreign } = await census();
    expect(result).toMatchObject({ equal: 1, forgotten: { lanes: 1, items: 2 } });
    expect(foreign).toEqual([]);
  });

  test('calls an owner removed that was in use until then', async () => {
    known(ANN, ['a', 'b']);
    shown.delete(ANN);
    writtenAgoMs = 60_000;
    expect((await census()).foreign).toMatchObject([{ owner: ANN, changes: { added: 0, removed: 2 } }]);
  });

  test.each([
    { through: 2, foreign: [], name: 'its last write' },
    { through: 1, foreign: [{ owner: ANN }], name: 'an earlier write' },
  ])(
    'judges an owner in use that reverse delivery found forgotten at $name',
    async ({ through, foreign }) => {
      known(ANN, ['a', 'b']);
      shown.delete(ANN);
      writtenAgoMs = 60_000;
      forgottenThrough = through;
      expect((await census()).foreign).toMatchObject(foreign);
    },
  );

  test('lists a use without a change as a reader', async () => {
    known(ANN, ['a']);
    shown.set(ANN, lane(['a'], { usedAt: new Date(SETTLED_MS + DAY_MS).toISOString() }));
    const { result, foreign } = await census();
    expect(foreign).toMatchObject([{ owner: ANN, kind: 'reader' }]);
    expect(result.equal).toBe(1);
  });

  test('does not guess what a lane should hold that was never compared', async () => {
    known(ANN, ['a']);
    baselines.clear();
    const { result, foreign } = await census();
    expect(result).toMatchObject({ equal: 0, unproven: 1, unprovenExamples: [ANN] });
    expect(foreign).toEqual([]);
  });

  test('needs no proof of a lane that was given up', async () => {
    known(ANN, ['a'], true);
    baselines.clear();
    expect((await census()).result.unproven).toBe(0);
  });
});
