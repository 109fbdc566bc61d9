import { beforeEach, expect, test } from 'vitest';
import { ConnectionError } from '../../../../src/domain/errors.ts';
import { operationId, type Owner, replicaId } from '../../../../src/domain/ids.ts';
import type { ServiceDefinition } from '../../../../src/domain/service-definition.ts';
import { Lane } from '../../../../src/engine/lane/lane.ts';
import type { LegacyCall, PendingWrite } from '../../../../src/engine/ports/ports.ts';
import { ReplicaIdentity } from '../../../../src/engine/ports/replica-ports.ts';
import type { ReverseSends } from '../../../../src/engine/ports/reverse-ports.ts';
import type { ServiceRuntime } from '../../../../src/engine/ports/service-runtime.ts';
import {
  isEnding,
  ReverseSender,
  type ReverseSenderParts,
  type Sent,
} from '../../../../src/engine/reverse/reverse-sender.ts';
import { readText } from '../../../../src/domain/request.ts';
import { jarvisMemory } from '../../../../src/services/jarvis-memory.ts';
import { sessionMemory } from '../../../../src/services/session-memory/session-memory.ts';
import { Database } from '../../../sim/database.ts';
import type { Statement } from '../../../sim/journal.ts';
import { createSimReverseSends } from '../../../sim/reverse-sends.ts';
import { fakeClock, recorder, serviceWith, SERVICE, stateOf } from '../engine-parts.ts';

/** What legacy does with the next request. `stores` and `drops` give no reply. */
type Behaviour = 'answers' | 'stores' | 'drops' | 'is_away' | 'refuses';

const UNKNOWN = new ConnectionError('no answer', { effect: 'unknown', reason: 'timeout' });
const AWAY = new ConnectionError('no connection', { effect: 'not_applied', reason: 'unreachable' });
const ME = replicaId('me');

/** jarvis-memory as a list of memories. */
class Legacy {
  readonly memories: string[] = [];
  readonly asked: string[] = [];
  next: Behaviour[] = [];

  async send({ body, maySend }: LegacyCall): Promise<{ body: Buffer }> {
    if (maySend?.() === false) throw AWAY;
    const request = readText(body.toString());
    const behaviour = this.next.shift() ?? 'answers';
    if (behaviour === 'is_away') throw AWAY;
    this.asked.push(body.toString());
    if (behaviour === 'drops') throw UNKNOWN;
    if (request.fields['action'] === 'clear_memories') this.memories.length = 0;
    else this.memories.push(String(request.raw['memory']));
    if (behaviour === 'stores') throw UNKNOWN;
    return { body: Buffer.from('{"status": "ok"}') };
  }
}

let legacy: Legacy;
let sends: ReverseSends;
let database: Database;
let lane: Lane;
let events: ReturnType<typeof recorder>;
let service: ServiceRuntime;

const clock = { ...fakeClock(), now: () => 0, wallMs: () => 100_000, sleep: async () => undefined };

beforeEach(() => {
  legacy = new Legacy();
  database = new Database({ now: () => 0, instantOf: (ms) => ms, wallOf: (ms) => ms });
  const statement: Statement = async (_what, apply) => apply();
  sends = createSimReverseSends({ database, identity: new ReplicaIdentity(() => ME), statement });
  lane = new Lane(SERVICE, 'ann' as Owner, clock);
  const row = database.laneOrNew(lane.key);
  Object.assign(row, { primary: 'orchestrator', epoch: 1, claim: ME });
  lane.adopt(stateOf(lane, { id: row.id, primary: 'orchestrator', epoch: 1 }));
  events = recorder();
  service = serviceOf(jarvisMemory);
});

function serviceOf(definition: ServiceDefinition): ServiceRuntime {
  return serviceWith({
    definition,
    legacy: {
      send: (call) => legacy.send(call),
      load: () => ({ inFlight: 0, queued: 0, isConnected: true, breaker: 'closed' }),
    },
    access: {
      call: async () =>
        readText(
          `{"status": "ok", "memories": [${legacy.memories
            .map((memory) => `{"timestamp": 1, "memory": ${memory}}`)
            .join(', ')}]}`,
        ),
    },
  });
}

const SEAT = {
  inTurn: <Result>(send: () => Promise<Result>) => send(),
  isCrowded: () => false,
  giveUp: () => undefined,
};

function senderWith(more: Partial<ReverseSenderParts> = {}): ReverseSender {
  return new ReverseSender({
    sends,
    proofs: { proved: async () => undefined },
    journal: { lastApplied: async () => ({ nowMs: 0 }) },
    services: new Map([[SERVICE, service]]),
    clock,
    emit: events.emit,
    mayAct: () => true,
    journalKeptMs: HOUR_MS,
    signals: { taken: async () => undefined, isShut: () => false },
    ...more,
  });
}

/** Sends it, and records that legacy has it, as the deliverer does. */
async function send(sender: ReverseSender, one: PendingWrite): Promise<Sent> {
  const sent = await sender.send(lane, one, SEAT);
  if (isEnding(sent)) lane.deliveredUpTo(one.sequence);
  return sent;
}

function write(sequence: number, request: object, facts: Partial<PendingWrite> = {}): PendingWrite {
  const action = (request as { action: string }).action;
  return {
    laneId: lane.id,
    lane: lane.key,
    sequence,
    operationId: operationId(`operation-${sequence}`),
    action,
    request: JSON.stringify({ user_id: 'ann', ...request }),
    acceptedAtMs: 99_000,
    ...facts,
  };
}

const add = (sequence: number, memory: unknown, facts: Partial<PendingWrite> = {}): PendingWrite =>
  write(sequence, { action: 'add_memory', memory }, facts);

const halted = (): unknown[] =>
  events.events.filter(({ name }) => name === 'reverse:halted').map(({ event }) => event);

test('legacy gets the agent’s own bytes, once', async () => {
  const one = add(1, 'a', { request: '{ "action":"add_memory",  "user_id":"ann", "memory":1e3 }' });
  expect(await senderWith().send(lane, one, SEAT)).toBe('applied');
  expect(legacy.asked).toEqual([one.request]);
  expect(await sends.find(one)).toMatchObject({ attempt: 1, ending: 'applied' });
});

test('a lost reply does not become a second item', async () => {
  legacy.next = ['answers', 'stores'];
  const sender = senderWith();
  for (const one of [add(1, 'again'), add(2, 'again'), add(3, 'again')])
    expect(await send(sender, one)).toBe('applied');
  expect(legacy.memories).toEqual(['"again"', '"again"', '"again"']);
});

test('a replica does not trust what it knew before another one sent', async () => {
  const [one, other] = [senderWith(), senderWith()];
  await send(one, add(1, 'a'));
  await send(other, add(2, 'again'));
  legacy.next = ['drops'];
  expect(await send(one, add(3, 'again'))).toBe('applied');
  expect(legacy.memories).toEqual(['"a"', '"again"', '"again"']);
});

test('a request that legacy never got is sent again', async () => {
  legacy.next = ['drops', 'is_away'];
  const sender = senderWith();
  await expect(sender.send(lane, add(1, 'a'), SEAT)).rejects.toThrow('no connection');
  expect(await sender.send(lane, add(1, 'a'), SEAT)).toBe('applied');
  expect(legacy.memories).toEqual(['"a"']);
  expect(await sends.find(add(1, 'a'))).toMatchObject({ attempt: 3 });
});

test('a process that died after the send does not send again', async () => {
  await senderWith().send(lane, add(1, 'a'), SEAT);
  legacy.next = ['stores'];
  const dying = senderWith({ signals: { taken: () => new Promise(() => undefined), isShut: () => false } });
  void dying.send(lane, add(2, 'again'), SEAT);
  await new Promise((resolve) => setTimeout(resolve, 5));
  expect(await senderWith().send(lane, add(2, 'again'), SEAT)).toBe('applied');
  expect(legacy.memories).toEqual(['"a"', '"again"']);
});

test('a process that died before the send sends the write', async () => {
  const seat = { ...SEAT, inTurn: <Result>() => new Promise<Result>(() => undefined) };
  void senderWith().send(lane, add(1, 'a'), seat);
  await new Promise((resolve) => setTimeout(resolve, 5));
  expect(await sends.find(add(1, 'a'))).toMatchObject({ attempt: 1 });
  expect(await senderWith().send(lane, add(1, 'a'), SEAT)).toBe('applied');
  expect(legacy.memories).toEqual(['"a"']);
});

test('a write that legacy has is not sent again after its position was lost', async () => {
  const sender = senderWith();
  await sender.send(lane, add(1, 'a'), SEAT);
  expect(await senderWith().send(lane, add(1, 'a'), SEAT)).toBe('applied');
  expect(legacy.memories).toEqual(['"a"']);
});

test('a delete whose reply was lost removes nothing that came later', async () => {
  const sender = senderWith();
  await send(sender, add(1, 'a'));
  legacy.next = ['stores'];
  expect(await send(sender, write(2, { action: 'clear_memories' }))).toBe('applied');
  await send(sender, add(3, 'b'));
  expect(legacy.memories).toEqual(['"b"']);
  expect(legacy.asked.filter((text) => text.includes('clear'))).toHaveLength(1);
});

test('a replica that may not act sends nothing', async () => {
  await expect(senderWith({ mayAct: () => false }).send(lane, add(1, 'a'), SEAT)).rejects.toThrow();
  expect(legacy.asked).toEqual([]);
});

test('attempts without an effect end at a person, and are no loop', async () => {
  legacy.next = Array.from({ length: 99 }, () => 'drops' as const);
  expect(await senderWith().send(lane, add(1, 'a'), SEAT)).toBe('halted');
  expect(legacy.asked).toHaveLength(5);
  expect(halted()).toEqual([expect.objectContaining({ reason: 'unanswered', sequence: 1 })]);
  expect(await senderWith().send(lane, add(1, 'a'), SEAT)).toBe('halted');
  expect(legacy.asked).toHaveLength(5);
});

test('a service that cannot be read leaves an unknown outcome to a person', async () => {
  service = { ...service, access: {} };
  legacy.next = ['stores'];
  expect(await senderWith().send(lane, add(1, 'a'), SEAT)).toBe('halted');
  expect(halted()).toEqual([expect.objectContaining({ reason: 'unreadable' })]);
  expect(legacy.memories).toEqual(['"a"']);
});

test('a side effect that would come too late waits for a person', async () => {
  const reminder = { type: 'reminder', text: 'call' };
  const late = add(1, reminder, { acceptedAtMs: 100_000 - 61_000 });
  expect(await senderWith().send(lane, late, SEAT)).toBe('halted');
  expect(halted()).toEqual([expect.objectContaining({ reason: 'effect_too_late' })]);
  expect(legacy.asked).toEqual([]);
});

test('a side effect in time is caused once', async () => {
  legacy.next = ['stores'];
  const reminder = { type: 'reminder', text: 'call' };
  expect(await senderWith().send(lane, add(1, reminder), SEAT)).toBe('applied');
  expect(legacy.asked).toHaveLength(1);
});

test('an age does not stop a write without a side effect', async () => {
  expect(await senderWith().send(lane, add(1, 'a', { acceptedAtMs: 0 }), SEAT)).toBe('applied');
});

test('one of several writes is read back as the proof of the way back', async () => {
  const proved: string[] = [];
  const proofs = { proved: async (name: string, by: string) => void proved.push(`${name} ${by}`) };
  const sender = senderWith({ proofs });
  for (const sequence of [1, 2, 3]) await sender.send(lane, add(sequence, sequence), SEAT);
  expect(proved).toEqual(['jarvis-memory agent']);
});

test('a lane whose way back is lost gets nothing more', async () => {
  await sends.loseWayBack(lane.key);
  expect(await senderWith().send(lane, add(1, 'a'), SEAT)).toBe('lost');
  expect(legacy.asked).toEqual([]);
});

/** session-memory, whose requests fail without a session, behind a store of our own. */
function sessions(shown: { exists: boolean; madeAt?: string }): void {
  const { lanes } = sessionMemory;
  service = serviceOf({
    ...sessionMemory,
    lanes: {
      ...lanes,
      isReadable: () => true,
      ownersAround: async () => ({ before: 0, since: 1 }),
      readLegacy: async () => ({
        exists: shown.exists,
        items: [],
        ...(shown.exists && {
          session: { userId: 'ann', metadata: '{}', createdAt: shown.madeAt ?? '1970-01-01T00:00:00Z' },
        }),
      }),
    },
  });
}

const HOUR_MS = 3_600_000;
const say = (sequence: number): PendingWrite =>
  write(sequence, { action: 'add_interaction', session_id: 'ann', role: 'user', content: 'hi' });

test('a session that legacy’s retention forgot stops no queue', async () => {
  sessions({ exists: false });
  const journal = {
    lastApplied: async () => ({
      nowMs: 0,
      first: { sequence: 1, atMs: -2 * HOUR_MS, sentMs: -2 * HOUR_MS },
      atMs: -2 * HOUR_MS,
    }),
  };
  const sender = senderWith({ journal });
  expect(await sender.send(lane, say(1), SEAT)).toBe('forgotten');
  expect(await sender.send(lane, say(2), SEAT)).toBe('forgotten');
  expect(legacy.asked).toEqual([]);
  expect(halted()).toEqual([]);
});

test('a session that vanished without an explanation waits for a person', async () => {
  sessions({ exists: false });
  const journal = {
    lastApplied: async () => ({
      nowMs: 0,
      first: { sequence: 1, atMs: -1_000, sentMs: -1_000 },
      atMs: -1_000,
    }),
  };
  expect(await senderWith({ journal }).send(lane, say(1), SEAT)).toBe('halted');
  expect(halted()).toEqual([expect.objectContaining({ reason: 'owner_gone' })]);
});

test('a row that a locked database refused is flushed before it is looked for', async () => {
  const shown = { exists: false };
  sessions(shown);
  const flushes: string[] = [];
  legacy.send = async ({ body }) => {
    const text = body.toString();
    if (text.includes('crossfade-flush')) {
      flushes.push(text);
      shown.exists = true;
      return { body: Buffer.from('{"status": "success"}') };
    }
    return { body: Buffer.from('{"status": "error", "request_id": ""}') };
  };
  const create = write(1, { action: 'create_session', session_id: 'ann' });
  expect(await senderWith().send(lane, create, SEAT)).toBe('applied');
  expect(flushes).toHaveLength(1);
});

test('a flush that legacy does not accept decides nothing', async () => {
  sessions({ exists: false });
  legacy.send = async () => ({ body: Buffer.from('{"status": "error", "request_id": ""}') });
  expect(await senderWith().send(lane, write(1, { action: 'create_session', session_id: 'ann' }), SEAT)).toBe(
    'halted',
  );
  expect(halted()).toEqual([expect.objectContaining({ reason: 'undecided' })]);
});

test('what legacy refuses for a moment is sent again, and then waits for a person', async () => {
  sessions({ exists: true });
  legacy.send = async ({ body }) => {
    legacy.asked.push(body.toString());
    return { body: Buffer.from('{"status": "error", "error": "Agent is still initializing"}') };
  };
  const sender = senderWith();
  const sent: string[] = [];
  for (let tried = 0; tried < 6; tried += 1) sent.push(await sender.send(lane, say(1), SEAT));
  expect(sent).toEqual(['refused', 'refused', 'refused', 'refused', 'refused', 'halted']);
  expect(legacy.asked).toHaveLength(6);
});
