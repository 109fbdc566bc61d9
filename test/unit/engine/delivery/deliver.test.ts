import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { StorageError, ValidationError } from '../../../../src/domain/errors.ts';
import type { ServiceDefinition } from '../../../../src/domain/service-definition.ts';
import { digestOfFields } from '../../../../src/engine/items/copy-plan.ts';
import { Deliverer } from '../../../../src/engine/delivery/deliver.ts';
import type { Lane } from '../../../../src/engine/lane/lane.ts';
import type { PendingWrite } from '../../../../src/engine/ports/ports.ts';
import { jarvisMemory } from '../../../../src/services/jarvis-memory.ts';
import {
  deliveryParts,
  laneNamed,
  orchestratorWith,
  readableJournal,
  recorder,
  SERVICE,
  serviceWith,
  stateOf,
  writeOf,
} from '../engine-parts.ts';

const POISON = 'poisoned';
const REQUEST = '{"action": "add_memory", "user_id": "ann", "memory": "tea"}';

const TEA = { text: '"tea"' };

/** With a write that names its item: what it is in the orchestrator's words is known when it is sent. */
const DEFINITION: ServiceDefinition = {
  ...jarvisMemory,
  lanes: { ...jarvisMemory.lanes, fieldsOf: () => TEA },
  actions: {
    ...jarvisMemory.actions,
    drop: {
      kind: 'write',
      owner: () => undefined,
      outcome: () => 'applied',
      reverse: 'impossible',
      loses: 'the delete',
      names: { atMost: 1, find: () => [] },
      toOrchestrator: ({ items, sessionId }) =>
        items.map((id) => ({ action: 'delete', sessionId, payload: { memory_id: id } })),
    },
  },
};

/** A deliverer before an orchestrator that refuses one lane's writes, and a journal whose dead letters go as `deadLetter` says. */
function createDeliverer(
  deadLetter: () => Promise<void>,
  sending: (operations: number) => Promise<void> = async () => undefined,
) {
  const { emit, events, names } = recorder();
  const batches: string[][] = [];
  const parts = deliveryParts({
    journal: { ...readableJournal({}), deadLetter, delivered: async () => undefined },
    orchestrator: orchestratorWith({
      read: async () => ({ text: '{"items": [{"memory_id": "m1", "content": "tea"}]}', data: {} }),
      async batchWrite(operations) {
        await sending(operations.length);
        batches.push(operations.map(({ lane }) => lane?.key ?? ''));
        const operation = operations.findIndex(({ lane }) => lane?.key.includes(POISON));
        if (operation >= 0) throw new ValidationError('poison', { details: { operation } });
        return operations.map(() => ({ result: 'applied' }));
      },
    }),
    services: new Map([[SERVICE, serviceWith({ definition: DEFINITION })]]),
    clock: { now: () => performance.now(), wallMs: () => Date.now(), sleep: (ms: number) => sleep(ms) },
    emit,
  });
  const deliverer = new Deliverer(parts);
  running.push(deliverer);
  const write = (lane: Lane, sequence: number, facts: Partial<PendingWrite> = {}): void => {
    lane.appliedUpTo(sequence);
    deliverer.deliver(lane, { ...writeOf(lane, sequence, REQUEST), ...facts });
  };
  const applied = (): string[] =>
    events.flatMap(({ name, event }) => {
      const { lane, sequence } = event as { lane: string; sequence: number };
      return name === 'delivery:applied' ? [`${lane} ${sequence}`] : [];
    });
  const letters = (): unknown[] =>
    events.flatMap(({ name, event }) =>
      name === 'delivery:dead_letter' && 'lane' in event ? [event.lane] : [],
    );
  return { deliverer, write, applied, names, letters, events, batches };
}

const running: Deliverer[] = [];
afterEach(async () => {
  for (const deliverer of running.splice(0)) await deliverer.stop();
}, 10_000);

function seededLane(name: string): Lane {
  const lane = laneNamed(name);
  lane.adopt(stateOf(lane, { seededCoverage: 1, isHome: true }));
  return lane;
}

test('writes that share a batch with a refused one do not wait for its dead letter', async () => {
  let store = (): void => undefined;
  const stored = new Promise<void>((resolve) => {
    store = resolve;
  });
  const { write, applied, names } = createDeliverer(() => stored);
  const [poisoned, healthy] = [seededLane(POISON), seededLane('bob')];
  write(poisoned, 1);
  write(poisoned, 2);
  write(healthy, 1);
  await vi.waitFor(() => expect(applied()).toEqual([`${healthy.key} 1`]), { timeout: 10_000 });
  expect(names()).not.toContain('delivery:dead_letter');
  write(healthy, 2);
  await vi.waitFor(() => expect(applied()).toHaveLength(2), { timeout: 10_000 });
  store();
  await vi.waitFor(() => expect(names()).toContain('delivery:dead_letter'), { timeout: 10_000 });
  expect(applied()).toEqual([`${healthy.key} 1`, `${healthy.key} 2`]);
});

test('writes too large for one message are sent in smaller batches, in order', async () => {
  const { write, applied, names, batches } = createDeliverer(
    async () => undefined,
    async (operations) => {
      if (operations > 2) throw new ValidationError('too large', { details: { field: 'message' } });
    },
  );
  const [one, other] = [seededLane('ann'), seededLane('bob')];
  for (const sequence of [1, 2, 3]) for (const lane of [one, other]) write(lane, sequence);
  await vi.waitFor(() => expect(applied()).toHaveLength(6), { timeout: 10_000 });
  expect(applied().filter((write) => write.startsWith(one.key))).toEqual(
    [1, 2, 3].map((at) => `${one.key} ${at}`),
  );
  expect(Math.max(...batches.map(({ length }) => length))).toBe(2);
  expect(names()).not.toContain('delivery:failed');
});

test('a batch of long writes fits into a message, and no write of a lane is lost', async () => {
  const { write, applied, batches } = createDeliverer(async () => undefined);
  const request = REQUEST.replace('tea', 'x'.repeat(400_000));
  const [one, other] = [seededLane('ann'), seededLane('bob')];
  for (const sequence of [1, 2, 3]) for (const lane of [one, other]) write(lane, sequence, { request });
  await vi.waitFor(() => expect(applied()).toHaveLength(6), { timeout: 10_000 });
  expect(Math.max(...batches.map(({ length }) => length))).toBeLessThanOrEqual(3);
  for (const { key } of [one, other])
    expect(applied().filter((name) => name.startsWith(key))).toEqual([1, 2, 3].map((at) => `${key} ${at}`));
});

test('after a refused write of a split batch nothing of its lane is delivered', async () => {
  const { write, applied, letters } = createDeliverer(
    async () => undefined,
    async (operations) => {
      if (operations > 2) throw new ValidationError('too large', { details: { field: 'message' } });
    },
  );
  const [poisoned, healthy] = [seededLane(POISON), seededLane('bob')];
  for (const sequence of [1, 2, 3]) write(poisoned, sequence);
  write(healthy, 1);
  await vi.waitFor(() => expect(letters()).toEqual([poisoned.key]), { timeout: 10_000 });
  await vi.waitFor(() => expect(applied()).toEqual([`${healthy.key} 1`]), { timeout: 10_000 });
});

test('only the refused write of a batch with named items becomes a dead letter', async () => {
  const { write, applied, letters } = createDeliverer(async () => undefined);
  const [naming, poisoned, healthy] = [seededLane('ann'), seededLane(POISON), seededLane('bob')];
  write(naming, 1, { action: 'drop', items: [{ digest: digestOfFields(TEA), newer: 0 }] });
  write(poisoned, 1);
  write(healthy, 1);
  await vi.waitFor(() => expect(letters()).toEqual([poisoned.key]), { timeout: 10_000 });
  await vi.waitFor(() => expect(applied().toSorted()).toEqual([`${naming.key} 1`, `${healthy.key} 1`]), {
    timeout: 10_000,
  });
});

test('a refused write whose dead letter is not stored is sent again', async () => {
  let tries = 0;
  const { write, applied, names } = createDeliverer(async () => {
    tries += 1;
    if (tries === 1) throw new StorageError('away', { effect: 'unknown' });
  });
  const poisoned = seededLane(POISON);
  write(poisoned, 1);
  write(poisoned, 2);
  await vi.waitFor(() => expect(names()).toContain('delivery:dead_letter'), { timeout: 10_000 });
  expect(names().filter((name) => name === 'journal:failed')).toHaveLength(1);
  expect(tries).toBe(2);
  expect(applied()).toEqual([]);
});

test('the deliverer ends only when pending dead letters are stored', async () => {
  let store = (): void => undefined;
  const stored = new Promise<void>((resolve) => {
    store = resolve;
  });
  const { deliverer, write, names } = createDeliverer(() => stored);
  const asked = vi.fn();
  write(seededLane(POISON), 1);
  write(seededLane('bob'), 1);
  await vi.waitFor(() => expect(names()).toContain('delivery:applied'), { timeout: 10_000 });
  const stopped = deliverer.stop().then(asked);
  await sleep(20);
  expect(asked).not.toHaveBeenCalled();
  store();
  await stopped;
  expect(names()).toContain('delivery:dead_letter');
});

test('W2: pauses grow while the orchestrator is down, and start over after a delivery', async () => {
  const isDown = [true, true, true, false, true];
  const { write, applied, events } = createDeliverer(
    async () => undefined,
    async () => {
      if (isDown.shift() === true) throw new Error('down');
    },
  );
  const lane = seededLane('ann');
  write(lane, 1);
  await vi.waitFor(() => expect(applied()).toHaveLength(1), { timeout: 10_000 });
  write(lane, 2);
  await vi.waitFor(() => expect(applied()).toHaveLength(2), { timeout: 10_000 });
  const failed = events.filter(({ name }) => name === 'delivery:failed');
  expect(failed).toMatchObject(
    [
      [1, 37.5],
      [2, 75],
      [3, 150],
      [1, 37.5],
    ].map(([attempt, retryInMs]) => ({ event: { attempt, retryInMs } })),
  );
});

test('W2: after a failure one sender tries, until a batch succeeds', async () => {
  const sent: boolean[] = [];
  let answer = (): void => undefined;
  const answered = new Promise<void>((resolve) => (answer = resolve));
  const { deliverer, write, applied } = createDeliverer(
    async () => undefined,
    async () => {
      sent.push(deliverer.isFlowing);
      if (sent.length === 1) throw new Error('down');
      await answered;
    },
  );
  const [lane, other] = [seededLane('ann'), seededLane('bob')];
  write(lane, 1);
  await vi.waitFor(() => expect(sent).toHaveLength(2), { timeout: 10_000 });
  write(other, 1);
  deliverer.hurry(other);
  await sleep(50);
  expect(sent).toEqual([true, false]);
  answer();
  await vi.waitFor(() => expect(applied()).toHaveLength(2), { timeout: 10_000 });
  expect(deliverer.isFlowing).toBe(true);
});

test('nothing of a lane is delivered while it is being copied', async () => {
  const { deliverer, write, applied } = createDeliverer(async () => undefined);
  const [copying, clean] = [seededLane('ann'), seededLane('bob')];
  copying.beginCopy();
  write(copying, 1);
  write(clean, 1);
  await vi.waitFor(() => expect(applied()).toEqual([`${clean.key} 1`]), { timeout: 10_000 });
  copying.finishCopy(stateOf(copying), { coverage: 1, sequence: 0 });
  deliverer.wake();
  await vi.waitFor(() => expect(applied()).toEqual([`${clean.key} 1`, `${copying.key} 1`]), {
    timeout: 10_000,
  });
});

test('a second batch of a lane waits for the first one', async () => {
  const sent: number[] = [];
  let answer = (): void => undefined;
  const answered = new Promise<void>((resolve) => (answer = resolve));
  const { deliverer, write, applied } = createDeliverer(
    async () => undefined,
    async (count) => {
      sent.push(count);
      await answered;
    },
  );
  const lane = seededLane('ann');
  write(lane, 1);
  deliverer.hurry(lane);
  await vi.waitFor(() => expect(sent).toEqual([1]), { timeout: 10_000 });
  write(lane, 2);
  deliverer.hurry(lane);
  // Another lane's batch goes meanwhile, so the second one of this lane could have gone, too.
  const other = seededLane('bob');
  write(other, 1);
  deliverer.hurry(other);
  await vi.waitFor(() => expect(sent).toEqual([1, 1]), { timeout: 10_000 });
  answer();
  await vi.waitFor(() => expect(applied()).toHaveLength(3), { timeout: 10_000 });
  expect(applied().filter((text) => text.startsWith(lane.key))).toEqual([`${lane.key} 1`, `${lane.key} 2`]);
});

test('the delivery that a read waits for goes first and alone', async () => {
  const { deliverer, write, batches, events } = createDeliverer(async () => undefined);
  const others = ['bob', 'carl', 'dora'].map(seededLane);
  const awaited = seededLane('ann');
  for (const lane of others) write(lane, 1);
  write(awaited, 1);
  deliverer.hurry(awaited);
  await vi.waitFor(() => expect(batches.flat()).toHaveLength(4), { timeout: 10_000 });
  expect(batches[0]).toEqual([awaited.key]);
  expect(batches[1]?.toSorted()).toEqual(others.map(({ key }) => key).toSorted());
  const told = events.filter(({ name }) => name === 'delivery:awaited');
  expect(told).toMatchObject([{ event: { service: SERVICE, lane: awaited.key } }]);
});

test('other deliveries continue while reads ask for theirs without a pause', async () => {
  const { deliverer, write, applied } = createDeliverer(async () => undefined);
  const [awaited, other] = [seededLane('ann'), seededLane('bob')];
  write(other, 1);
  let sequence = 0;
  await vi.waitFor(
    () => {
      sequence += 1;
      write(awaited, sequence);
      deliverer.hurry(awaited);
      expect(applied()).toContain(`${other.key} 1`);
    },
    { timeout: 10_000, interval: 1 },
  );
});

test('a read of a lane without waiting writes requests nothing', async () => {
  const { deliverer, write, batches, events } = createDeliverer(async () => undefined);
  deliverer.hurry(seededLane('ann'));
  write(seededLane('bob'), 1);
  await vi.waitFor(() => expect(batches).toHaveLength(1), { timeout: 10_000 });
  expect(events.filter(({ name }) => name === 'delivery:awaited')).toEqual([]);
});

describe('a watermark', () => {
  const written = (lane: Lane, write: (lane: Lane, sequence: number) => void): void => {
    lane.adopt(stateOf(lane, { sequence: lane.sequence + 1, isHome: true }));
    write(lane, lane.sequence);
  };

  test('stops later deliveries of its lane until it is released', async () => {
    const { deliverer, write, applied } = createDeliverer(async () => undefined);
    const [busy, other] = [seededLane('ann'), seededLane('bob')];
    written(busy, write);
    const watermark = deliverer.watermarks.stopAt(busy);
    expect(watermark?.isSure()).toBe(false);
    written(busy, write);
    written(other, write);
    await vi.waitFor(() => expect(applied()).toEqual([`${busy.key} 1`, `${other.key} 1`]));
    await watermark?.reached;
    expect(watermark?.isSure()).toBe(true);
    await sleep(50);
    expect(busy.delivered).toBe(1);
    watermark?.release();
    expect(watermark?.isSure()).toBe(false);
    await vi.waitFor(() => expect(busy.delivered).toBe(2));
  });

  test('delays no read that needs the deliveries of its lane', async () => {
    const { deliverer, write } = createDeliverer(async () => undefined);
    const lane = seededLane('ann');
    const watermark = deliverer.watermarks.stopAt(lane);
    written(lane, write);
    deliverer.hurry(lane);
    await vi.waitFor(() => expect(lane.delivered).toBe(1));
    expect(watermark?.isSure()).toBe(false);
  });

  test('with others is passed by a delivery only after all are released', async () => {
    const { deliverer, write } = createDeliverer(async () => undefined);
    const lane = seededLane('ann');
    written(lane, write);
    const first = deliverer.watermarks.stopAt(lane);
    written(lane, write);
    const second = deliverer.watermarks.stopAt(lane);
    written(lane, write);
    await first?.reached;
    second?.release();
    await sleep(50);
    expect([lane.delivered, first?.isSure()]).toEqual([1, true]);
    first?.release();
    await vi.waitFor(() => expect(lane.delivered).toBe(3));
  });

  test('proves nothing about a lane that was copied since', async () => {
    const { deliverer, write } = createDeliverer(async () => undefined);
    const lane = seededLane('ann');
    written(lane, write);
    const watermark = deliverer.watermarks.stopAt(lane);
    await watermark?.reached;
    lane.adopt(stateOf(lane, { generation: lane.generation + 1, isHome: true }));
    expect(watermark?.isSure()).toBe(false);
  });
});
