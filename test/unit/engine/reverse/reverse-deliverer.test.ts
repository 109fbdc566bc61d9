import { afterEach, describe, expect, test } from 'vitest';
import { ConnectionError } from '../../../../src/domain/errors.ts';
import { operationId, type Owner } from '../../../../src/domain/ids.ts';
import { readText } from '../../../../src/domain/request.ts';
import { Deliverer } from '../../../../src/engine/delivery/deliver.ts';
import { Lane } from '../../../../src/engine/lane/lane.ts';
import type { PendingWrite } from '../../../../src/engine/ports/ports.ts';
import type {
  ReverseEnd,
  ReverseSends,
  ReverseStart,
  StoredReverseSend,
} from '../../../../src/engine/ports/reverse-ports.ts';
import type { ServiceDefinition } from '../../../../src/domain/service-definition.ts';
import { jarvisMemory } from '../../../../src/services/jarvis-memory.ts';
import { systemClock } from '../../../../src/shared/clock.ts';
import { eventually } from '../../../support/eventually.ts';
import { deliveryParts, recorder, SERVICE, serviceWith, stateOf } from '../engine-parts.ts';

/** Keeps only what the last start of each write says. */
class Sends implements ReverseSends {
  readonly rows = new Map<string, StoredReverseSend>();
  readonly lost = new Set<string>();
  /** How many starts, and how many ends, might wait for others. */
  readonly patient = { starts: 0, ends: 0 };

  async begin({ ref, attempt, mayWait = false }: ReverseStart): Promise<boolean> {
    if (mayWait) this.patient.starts += 1;
    const known = this.rows.get(keyOf(ref));
    if (this.lost.has(ref.lane) || known?.halted !== undefined || (known?.attempt ?? 0) !== attempt - 1)
      return false;
    this.rows.set(keyOf(ref), { attempt, ageMs: 0, isRetried: false });
    return true;
  }

  async find(ref: PendingWrite): Promise<StoredReverseSend | undefined> {
    return this.rows.get(keyOf(ref));
  }

  async end({ ref, attempt, mayWait = false }: ReverseEnd): Promise<void> {
    if (mayWait) this.patient.ends += 1;
    this.rows.set(keyOf(ref), { attempt, ageMs: 0, isRetried: false, ending: 'applied' });
  }

  async halt(ref: PendingWrite, attempt: number, halted: 'refused'): Promise<void> {
    this.rows.set(keyOf(ref), { attempt, ageMs: 0, isRetried: false, halted });
  }

  async last(lane: string) {
    return { nowMs: 0, isForgotten: false, isLost: this.lost.has(lane), lacksWrite: false };
  }

  /** Legacy is read-only, so that writes wait on purpose. */
  isClosed = false;

  async loseWayBack(lane: string): Promise<boolean> {
    if (!this.isClosed) this.lost.add(lane);
    return !this.isClosed;
  }
}

function keyOf({ lane, sequence }: { readonly lane: string; readonly sequence: number }): string {
  return `${lane} ${sequence}`;
}

/** A legacy service that stores what it gets, in order. */
class Legacy {
  readonly stored: string[] = [];
  readonly open = { now: 0, most: 0 };
  /** Calls of agents that wait. */
  queued = 0;
  isAway = false;
  isConnected = true;
  /** Its service is complete. */
  isReplaced = false;
  readonly delayMs: number;

  constructor(delayMs = 1) {
    this.delayMs = delayMs;
  }

  async send(body: string): Promise<{ body: Buffer }> {
    if (this.isAway) throw new ConnectionError('away', { effect: 'not_applied', reason: 'unreachable' });
    this.open.now += 1;
    this.open.most = Math.max(this.open.most, this.open.now);
    await systemClock.sleep(this.delayMs);
    this.open.now -= 1;
    const { user_id: user, memory } = JSON.parse(body) as { user_id: string; memory: string };
    this.stored.push(`${user} ${memory}`);
    return { body: Buffer.from('{"status": "ok"}') };
  }
}

const deliverers: Deliverer[] = [];
afterEach(async () => {
  for (const each of deliverers.splice(0)) await each.stop();
});

function begin(legacy: Legacy, sends = new Sends(), definition: ServiceDefinition = jarvisMemory) {
  const service = serviceWith({
    definition,
    legacy: {
      send: ({ body }) => legacy.send(body.toString()),
      load: () => ({
        inFlight: 0,
        queued: legacy.queued,
        isConnected: legacy.isConnected,
        breaker: 'closed',
      }),
    },
    access: { call: async () => readText('{"status": "ok", "memories": []}') },
  });
  const events = recorder();
  const deliverer = new Deliverer(
    deliveryParts({
      services: new Map([[SERVICE, service]]),
      emit: events.emit,
      reverse: {
        sends,
        proofs: { proved: async () => undefined },
        mayAct: () => true,
        journalKeptMs: 0,
        isComplete: () => legacy.isReplaced,
      },
    }),
  );
  deliverers.push(deliverer);
  return { deliverer, sends, events };
}

function flipped(owner: string): Lane {
  const lane = new Lane(SERVICE, owner as Owner, systemClock);
  lane.adopt(stateOf(lane, { primary: 'orchestrator', epoch: 1, seededCoverage: 1 }));
  return lane;
}

function write(lane: Lane, sequence: number): PendingWrite {
  return {
    laneId: 1,
    lane: lane.key,
    sequence,
    operationId: operationId(`${lane.owner}-${sequence}`),
    action: 'add_memory',
    request: JSON.stringify({ action: 'add_memory', user_id: lane.owner, memory: String(sequence) }),
    acceptedAtMs: Date.now(),
  };
}

function deliver(deliverer: Deliverer, lane: Lane, sequences: readonly number[]): void {
  for (const sequence of sequences) {
    lane.appliedUpTo(sequence);
    deliverer.deliver(lane, write(lane, sequence));
  }
}

const caughtUp = (...lanes: Lane[]) =>
  eventually('every write on legacy', () => lanes.every(({ isBehind }) => !isBehind));

test('the writes of a lane reach legacy in sequence, one at a time', async () => {
  const legacy = new Legacy();
  const { deliverer } = begin(legacy);
  const lane = flipped('ann');
  deliver(deliverer, lane, [1, 2, 3, 4, 5, 6]);
  await caughtUp(lane);
  expect(legacy.stored).toEqual(['ann 1', 'ann 2', 'ann 3', 'ann 4', 'ann 5', 'ann 6']);
  expect(legacy.open.most).toBe(1);
});

test('what waits when its service becomes complete is given up, also without legacy', async () => {
  const legacy = new Legacy();
  legacy.isConnected = false;
  const { deliverer } = begin(legacy);
  const lane = flipped('ann');
  deliver(deliverer, lane, [1, 2, 3]);
  legacy.isReplaced = true;
  await caughtUp(lane);
  expect({ pending: deliverer.pending, stored: legacy.stored }).toEqual({ pending: 0, stored: [] });
});

test('no lane waits for the whole backlog of another', async () => {
  const legacy = new Legacy();
  const { deliverer } = begin(legacy);
  const lanes = Array.from({ length: 8 }, (_, index) => flipped(`owner-${index}`));
  for (const lane of lanes) deliver(deliverer, lane, [1, 2, 3, 4, 5]);
  await caughtUp(...lanes);
  const firstOfLast = legacy.stored.indexOf('owner-7 1');
  expect(firstOfLast).toBeLessThan(legacy.stored.indexOf('owner-0 5'));
});

describe('a commit of a start or an end', () => {
  test('waits for others only while many sends wait for their turn', async () => {
    const { deliverer, sends } = begin(new Legacy());
    const few = Array.from({ length: 8 }, (_, index) => flipped(`few-${index}`));
    for (const lane of few) deliver(deliverer, lane, [1, 2, 3]);
    await caughtUp(...few);
    expect(sends.patient).toEqual({ starts: 0, ends: 0 });
    const many = Array.from({ length: 40 }, (_, index) => flipped(`many-${index}`));
    for (const lane of many) deliver(deliverer, lane, [1, 2, 3]);
    await caughtUp(...many);
    expect(sends.patient.starts).toBeGreaterThan(20);
    expect(sends.patient.ends).toBeGreaterThan(20);
    expect(sends.patient.starts).toBeLessThan(3 * 40);
  });

  test('of an end never waits where a crash would leave the send to a person', async () => {
    const lanes = { ...jarvisMemory.lanes, isReadable: () => false };
    const { deliverer, sends } = begin(new Legacy(), new Sends(), { ...jarvisMemory, lanes });
    const many = Array.from({ length: 40 }, (_, index) => flipped(`many-${index}`));
    for (const lane of many) deliver(deliverer, lane, [1, 2, 3]);
    await caughtUp(...many);
    expect(sends.patient.starts).toBeGreaterThan(20);
    expect(sends.patient.ends).toBe(0);
  });
});

test('a halted reverse queue of one lane is not visible in another', async () => {
  const legacy = new Legacy();
  const sends = new Sends();
  const { deliverer } = begin(legacy, sends);
  const [halted, other] = [flipped('halted'), flipped('other')];
  sends.rows.set(keyOf({ lane: halted.key, sequence: 1 }), {
    attempt: 1,
    ageMs: 0,
    isRetried: false,
    halted: 'refused',
  });
  deliver(deliverer, halted, [1, 2]);
  deliver(deliverer, other, [1, 2, 3]);
  await caughtUp(other);
  expect(legacy.stored).toEqual(['other 1', 'other 2', 'other 3']);
  expect(halted.delivered).toBe(0);
  expect(deliverer.isHolding(halted)).toBe(true);
});

test('while legacy is away nothing is lost, and everything follows once', async () => {
  const legacy = new Legacy();
  legacy.isAway = true;
  const { deliverer, events } = begin(legacy);
  const lane = flipped('ann');
  deliver(deliverer, lane, [1, 2]);
  await eventually('a failed send', () => events.names().includes('reverse:failed'));
  legacy.isAway = false;
  await caughtUp(lane);
  expect(legacy.stored).toEqual(['ann 1', 'ann 2']);
});

test('agents of the service come first, but not forever', async () => {
  const legacy = new Legacy();
  legacy.queued = 3;
  const { deliverer } = begin(legacy);
  const lane = flipped('ann');
  const sinceMs = performance.now();
  deliver(deliverer, lane, [1]);
  await caughtUp(lane);
  expect(performance.now() - sinceMs).toBeGreaterThanOrEqual(100);
});

test('a lane beyond its backlog loses its way back, once', async () => {
  const legacy = new Legacy();
  legacy.isAway = true;
  const { deliverer, events } = begin(legacy);
  const lane = flipped('ann');
  deliver(deliverer, lane, [1, 2, 3]);
  await Promise.all([deliverer.reverse.loseWayBack(lane), deliverer.reverse.loseWayBack(lane)]);
  legacy.isAway = false;
  deliver(deliverer, lane, [4]);
  expect(events.events.filter(({ name }) => name === 'reverse:way_back_lost')).toHaveLength(1);
  await systemClock.sleep(50);
  expect(legacy.stored).toEqual([]);
});

test('a lane whose writes wait on purpose keeps its way back', async () => {
  const legacy = new Legacy();
  const sends = new Sends();
  sends.isClosed = true;
  const { deliverer, events } = begin(legacy, sends);
  const lane = flipped('ann');
  await deliverer.reverse.loseWayBack(lane);
  expect(deliverer.reverse.isLost(lane)).toBe(false);
  expect(events.events.filter(({ name }) => name === 'reverse:way_back_lost')).toEqual([]);
});

test('the writes of a lane whose primary is legacy are never sent there', async () => {
  const legacy = new Legacy();
  const { deliverer } = begin(legacy);
  const lane = new Lane(SERVICE, 'ann' as Owner, systemClock);
  lane.adopt(stateOf(lane, { seededCoverage: 0 }));
  deliver(deliverer, lane, [1]);
  await systemClock.sleep(50);
  expect(legacy.stored).toEqual([]);
});
