import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { type LaneKey, serviceName } from '../../../../src/domain/ids.ts';
import type { LegacyReadEffect, MappedRead } from '../../../../src/domain/service-definition.ts';
import type { MappedOperation } from '../../../../src/engine/calls/ask-orchestrator.ts';
import { createLanes } from '../../../../src/engine/lane/lanes.ts';
import { Coverage } from '../../../../src/engine/ports/service-runtime.ts';
import { type KeptRead, RepeatedReads } from '../../../../src/engine/shadow/repeated-reads.ts';
import type { ShadowRead } from '../../../../src/engine/shadow/shadow-task.ts';
import { jarvisMemory } from '../../../../src/services/jarvis-memory.ts';
import {
  fakeClock,
  mappedOf,
  ownerNamed,
  readableJournal,
  recorder,
  SERVICE,
  serviceWith,
} from '../engine-parts.ts';

const OTHER = serviceName('contextual-memory');
const LIMITS = { messageBytes: 1_000_000, jsonDepth: 100 };

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

function begin(facts: { effect?: LegacyReadEffect; queued?: number; share?: number } = {}) {
  const clock = fakeClock();
  const kept: KeptRead[] = [];
  const given: string[] = [];
  const givenOther: string[] = [];
  const offered: ShadowRead[] = [];
  const load = { queued: facts.queued ?? 0, isConnected: true, inFlight: 0, breaker: 'closed' } as const;
  const read = jarvisMemory.actions['get_memories'] as MappedRead;
  const get_memories = { ...read, onLegacy: () => facts.effect ?? 'nothing' };
  const service = serviceWith({
    definition: { ...jarvisMemory, actions: { ...jarvisMemory.actions, get_memories } },
    legacy: { ...serviceWith().legacy, load: () => load },
  });
  const journal = readableJournal({ lanes: [{ owner: ownerNamed('ann'), state: { seededCoverage: 1 } }] });
  const repeats = new RepeatedReads({
    store: {
      keep: async (reads) => void kept.push(...reads),
      next: async (name) => {
        const request = (name === SERVICE ? given : givenOther).shift();
        return request === undefined ? undefined : { request };
      },
    },
    services: new Map([SERVICE, OTHER].map((name) => [name, { ...service, name }])),
    coverage: new Map([SERVICE, OTHER].map((name) => [name, Object.assign(new Coverage(), { number: 1 })])),
    flags: { percentage: () => facts.share ?? 100 },
    shadows: { size: 0, offer: (one) => void offered.push(one) },
    lanes: createLanes(journal, clock, () => false),
    callLegacy: async () => ({ reply: { body: Buffer.from('{"status": "ok"}') }, durationMs: 2 }),
    versionOf: () => 'v1',
    limits: LIMITS,
    clock,
    emit: recorder().emit,
    perMinute: 30,
    timeoutMs: 500,
  });
  const operationOf = (text: string): MappedOperation => mappedOf(text, { service });
  repeats.start();
  return { repeats, clock, kept, given, givenOther, offered, operationOf };
}

const READ = '{"action": "get_memories", "user_id": "ann", "limit": 3}';

test('a read is kept once, whatever its request id, and once per lane', async () => {
  const { repeats, clock, kept, operationOf } = begin();
  for (const text of [READ, READ.replace('{', '{"request_id": "2", '), READ.replace('ann', 'bob')])
    repeats.keep(operationOf(text));
  await clock.pass(2_000);
  await clock.pass(12_000);
  expect(kept.map(({ lane, action }) => [lane, action])).toEqual([
    [`${SERVICE}/ann` as LaneKey, 'get_memories'],
    [`${SERVICE}/bob` as LaneKey, 'get_memories'],
  ]);
  expect(new Set(kept.map(({ digest }) => digest)).size).toBe(2);
  void repeats.stop();
});

test.each(['touches', 'loads', 'cuts'] as const)(
  'a read that %s legacy is neither kept nor repeated',
  async (effect) => {
    const { repeats, clock, kept, given, offered, operationOf } = begin({ effect });
    repeats.keep(operationOf(READ));
    given.push(READ);
    await clock.pass(30_000);
    expect([kept, offered]).toEqual([[], []]);
    void repeats.stop();
  },
);

test('a kept read is repeated on legacy and compared, at the configured rate', async () => {
  const { repeats, clock, given, offered } = begin();
  given.push(READ, READ, READ);
  await clock.pass(2_000);
  expect(offered).toHaveLength(1);
  expect(offered[0]).toMatchObject({ primary: 'legacy', text: '{"status": "ok"}', isCompared: true });
  await clock.pass(2_000);
  expect(offered).toHaveLength(2);
  void repeats.stop();
});

test('services take turns', async () => {
  const { repeats, clock, given, givenOther, offered } = begin();
  given.push(READ, READ, READ);
  givenOther.push(READ);
  for (let times = 0; times < 3; times += 1) await clock.pass(2_000);
  expect(offered.map(({ operation }) => operation.service.name).toSorted()).toEqual([
    OTHER,
    SERVICE,
    SERVICE,
  ]);
  void repeats.stop();
});

test.each([
  ['agents wait for the service', { queued: 1 }],
  ['no shadow reads are asked for', { share: 0 }],
])('nothing is repeated while %s', async (_, facts) => {
  const { repeats, clock, given, offered } = begin(facts);
  given.push(READ);
  await clock.pass(30_000);
  expect([given.length, offered]).toEqual([1, []]);
  void repeats.stop();
});

test('a kept text that is no longer a read is left out', async () => {
  const { repeats, clock, given, offered } = begin();
  given.push('{"action": "add_memory", "user_id": "ann", "memory": "x"}', 'nonsense', '{"action": "gone"}');
  for (let times = 0; times < 4; times += 1) await clock.pass(2_000);
  expect([given, offered]).toEqual([[], []]);
  void repeats.stop();
});
