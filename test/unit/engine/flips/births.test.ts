import { expect, test, vi } from 'vitest';
import { Births, type BirthParts } from '../../../../src/engine/flips/births.ts';
import type { LegacyLane } from '../../../../src/domain/service-definition.ts';
import { jarvisMemory } from '../../../../src/services/jarvis-memory.ts';
import { StorageError } from '../../../../src/domain/errors.ts';
import { laneNamed, operationOf, ownerNamed, recorder, serviceWith, stateOf } from '../engine-parts.ts';
import { systemClock } from '../../../../src/shared/clock.ts';

const NOTHING: LegacyLane = { exists: false, items: [] };
const TEXT = '{"action": "add_memory", "user_id": "ann", "memory": "tea"}';

/** A first write of an owner. Legacy shows this of it. */
function firstWrite(legacy: typeof jarvisMemory.lanes.readLegacy, facts: Partial<BirthParts> = {}) {
  const lane = laneNamed('ann');
  const { emit, names } = recorder();
  const born: string[] = [];
  const lanes = { ...jarvisMemory.lanes, readLegacy: legacy, isReadable: () => true };
  const service = serviceWith({ definition: { ...jarvisMemory, lanes }, access: { call: failed } });
  const births = new Births({
    store: {
      async bear(key) {
        born.push(key);
        return stateOf(lane, { id: 5, primary: 'orchestrator', epoch: 1, isHome: false });
      },
    },
    shares: { contains: () => true, of: () => ({ number: 1, percentage: 100, version: '1-own' }) },
    isReady: () => true,
    lanes: { load: async () => lane },
    clock: systemClock,
    emit,
    ...facts,
  });
  const operation = operationOf(TEXT, { service, owner: ownerNamed('ann') });
  return { lane, born, names, consider: () => births.consider(operation, lane) };
}

test('an owner without a trace on legacy is born on the orchestrator', async () => {
  const { lane, born, names, consider } = firstWrite(async () => NOTHING);
  await consider();
  expect(lane).toMatchObject({ primary: 'orchestrator', epoch: 1 });
  expect(names()).toEqual(['lane:born']);
  await consider();
  expect(born).toEqual([lane.key]);
});

test('legacy is read without the service, which may hang', async () => {
  const { lane, consider } = firstWrite(async (_owner, access) => {
    if (access.call !== undefined) throw new Error('the service was called');
    return NOTHING;
  });
  await consider();
  expect(lane.primary).toBe('orchestrator');
});

const FILE_IS_TORN = new SyntaxError('the JSON is incomplete');
const AWAY = new StorageError('the journal is away', { effect: 'unknown' });

async function failed(): Promise<never> {
  throw AWAY;
}

async function refused(): Promise<undefined> {
  return undefined;
}

test('a slow journal keeps the first write of an owner for a second at most', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  try {
    const { lane, consider } = firstWrite(async () => NOTHING, {
      lanes: { load: () => new Promise(() => undefined) },
    });
    const considered = consider();
    await vi.advanceTimersByTimeAsync(1_000);
    await considered;
    expect(lane.primary).toBe('legacy');
  } finally {
    vi.useRealTimers();
  }
});

test.each([
  ['legacy shows the owner', async () => ({ exists: true, items: [] }), {}],
  ['legacy cannot be read', () => Promise.reject(FILE_IS_TORN), {}],
  ['the service is not ready', async () => NOTHING, { isReady: () => false }],
  [
    'the share is without it',
    async () => NOTHING,
    { shares: { contains: () => false, of: () => undefined } },
  ],
  ['the row exists by now', async () => NOTHING, { store: { bear: refused } }],
  ['the journal is away', async () => NOTHING, { store: { bear: failed } }],
] as const)('an owner begins on legacy if %s', async (...[, legacy, facts]) => {
  const { lane, names, consider } = firstWrite(legacy, facts);
  await consider();
  expect(lane.primary).toBe('legacy');
  expect(names()).toEqual([]);
});
