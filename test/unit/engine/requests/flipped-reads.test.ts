import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { ConnectionError } from '../../../../src/domain/errors.ts';
import type { LaneKey } from '../../../../src/domain/ids.ts';
import type { Retention } from '../../../../src/domain/retention.ts';
import type { ActionDefinition, LegacyReadEffect } from '../../../../src/domain/service-definition.ts';
import { Fences } from '../../../../src/engine/lane/fence.ts';
import { createLanes } from '../../../../src/engine/lane/lanes.ts';
import type { Decision } from '../../../../src/engine/ports/decision.ts';
import type { LastReverse } from '../../../../src/engine/ports/reverse-ports.ts';
import type { LaneView } from '../../../../src/engine/ports/ports.ts';
import { ReadPath } from '../../../../src/engine/requests/read.ts';
import type { ShadowRead } from '../../../../src/engine/shadow/shadow-task.ts';
import { NO_REVERSE_SENDS } from '../../../support/no-reverse-sends.ts';
import { jarvisMemory } from '../../../../src/services/jarvis-memory.ts';
import {
  coverageOf,
  fakeClock,
  operationOf,
  readableJournal,
  recorder,
  SERVICE,
  serviceWith,
  viewOf,
} from '../engine-parts.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const LANE = `${SERVICE}/ann` as LaneKey;
const REQUEST = '{"action": "get_memories", "user_id": "ann"}';
/** With everything that keeps the reads of other lanes on legacy. */
const FLIPPED = { primary: 'orchestrator', epoch: 1, finding: 3, seededCoverage: 0, exceptions: 2 } as const;

interface Facts {
  readonly retention?: Retention;
  readonly effect?: LegacyReadEffect;
  /** What the journal has shown of the lane; null if it is away. */
  readonly view?: Partial<LaneView> | null;
  readonly isLegacyOnly?: true;
  readonly shadowRead?: true;
  /** What a lane waits for after a database was lost. @defaultValue nothing */
  readonly admit?: () => Promise<void>;
  readonly mayJournalBeOlder?: true;
  readonly last?: () => Promise<LastReverse>;
}

function operationWith({ retention = {}, effect = 'nothing', isLegacyOnly }: Facts) {
  const definition = { ...jarvisMemory, lanes: { ...jarvisMemory.lanes, retention } };
  const asked = operationOf(REQUEST, { deadlineAtMs: 4_500, service: serviceWith({ definition }) });
  const onLegacy = (): LegacyReadEffect => effect;
  const action: ActionDefinition = isLegacyOnly
    ? { kind: 'read', owner: () => asked.owner, onLegacy, legacyOnly: 'no orchestrator can answer it' }
    : ({ ...asked.action, onLegacy } as ActionDefinition);
  return { ...asked, action };
}

/** A read of a flipped lane. */
function readWith(facts: Facts = {}) {
  const clock = fakeClock();
  const { emit, events } = recorder();
  const operation = operationWith(facts);
  const lanes = createLanes(readableJournal({}), clock, () => false);
  const lane = lanes.of(SERVICE, operation.owner);
  const orchestrator = Promise.withResolvers<string>();
  const deadlines: number[] = [];
  const offered: ShadowRead[] = [];
  const path = new ReadPath({
    lanes,
    fences: new Fences({
      journal: readableJournal({}),
      coverage: coverageOf(1),
      clock,
      isAlone: () => false,
      isSpilling: () => false,
    }),
    callLegacy: async () => ({ reply: { body: Buffer.from('legacy') }, durationMs: 1 }),
    askOrchestrator: (_operation, _purpose, deadlineAtMs) => {
      deadlines.push(deadlineAtMs);
      return orchestrator.promise;
    },
    deliveryWait: { of: () => 0, ofCopy: () => 0 },
    mayDeliveriesSucceed: () => true,
    isCopiedSoon: () => false,
    hurry: () => undefined,
    restored: { admit: () => facts.admit?.(), mayJournalBeOlder: facts.mayJournalBeOlder ?? false },
    reverse: { last: facts.last ?? (() => NO_REVERSE_SENDS.last(LANE)) },
    shadows: { offer: (read) => void offered.push(read) },
    watermarks: { stopForRead: () => undefined },
    clock,
    emit,
    readTimeoutMs: 250,
  });
  const decision: Decision = {
    primary: facts.isLegacyOnly ? 'legacy' : 'orchestrator',
    dualWrite: true,
    shadowRead: facts.shadowRead ?? false,
    reason: 'flipped',
  };
  const view = facts.view === null ? undefined : { ...viewOf(lane, FLIPPED), ...facts.view };
  const ended = path.read(operation, decision, { view }).then(
    ({ backend }): string => backend,
    (error: unknown) => (error instanceof ConnectionError ? 'retryable error' : String(error)),
  );
  return {
    ended,
    deadlines,
    offered,
    succeed: () => orchestrator.resolve('answered'),
    fail: () => orchestrator.reject(new ConnectionError('it did not answer', { effect: 'unknown' })),
    told: () =>
      events.flatMap(({ name, event }) =>
        name.startsWith('read:') && 'reason' in event ? [`${name} ${String(event.reason)}`] : [],
      ),
  };
}

describe('a read of a flipped lane', () => {
  test('goes to the orchestrator, whatever keeps the reads of other lanes on legacy', async () => {
    const read = readWith();
    read.succeed();
    expect(await read.ended).toBe('orchestrator');
    expect([read.told(), read.deadlines]).toEqual([[], [250]]);
  });

  test('is answered by legacy if the orchestrator fails and legacy lacks nothing', async () => {
    const read = readWith({ shadowRead: true });
    read.fail();
    expect(await read.ended).toBe('legacy');
    expect(read.told()).toEqual(['read:fell_back timeout']);
    expect(read.offered).toEqual([]);
  });

  test.each<[string, Facts]>([
    ['behind', { view: { isBehind: true } }],
    ['journal_in_doubt', { mayJournalBeOlder: true }],
    ['replica_silent', { view: { isReplicaSilent: true } }],
    ['journal_away', { view: null }],
    ['retention', { retention: { entries: 10 } }],
    ['retention', { retention: { owners: 100 } }],
    ['retention', { retention: { idleSeconds: 60 } }],
    ['changes_legacy', { effect: 'loads' }],
    ['changes_legacy', { effect: 'cuts' }],
  ])('has its whole deadline and then fails if legacy may not answer: %s', async (reason, facts) => {
    const read = readWith(facts);
    read.fail();
    expect(await read.ended).toBe('retryable error');
    expect([read.told(), read.deadlines]).toEqual([[`read:unanswered ${reason}`], [4_500]]);
  });

  test.each<[string, NonNullable<Facts['last']>]>([
    ['skipped', async () => ({ ...(await NO_REVERSE_SENDS.last(LANE)), lacksWrite: true })],
    ['skipped', async () => ({ ...(await NO_REVERSE_SENDS.last(LANE)), isLost: true })],
    ['journal_away', () => Promise.reject(new Error('the journal is away'))],
  ])('fails after the orchestrator if legacy lacks a write for good: %s', async (reason, last) => {
    const read = readWith({ last });
    read.fail();
    expect(await read.ended).toBe('retryable error');
    expect(read.told()).toEqual([`read:unanswered ${reason}`]);
  });

  test('is answered by neither backend while a restored database lacks something', async () => {
    const restored = new ConnectionError('a person decides', { effect: 'not_applied', reason: 'restored' });
    const read = readWith({ admit: () => Promise.reject(restored) });
    expect(await read.ended).toBe('retryable error');
    expect([read.told(), read.deadlines]).toEqual([[], []]);
  });

  test('is answered by legacy if the orchestrator does not say where it is in the lane', async () => {
    const lost = new ConnectionError('not compared', { effect: 'not_applied', reason: 'not_compared' });
    const read = readWith({ admit: () => Promise.reject(lost) });
    expect(await read.ended).toBe('legacy');
    expect([read.told(), read.deadlines]).toEqual([['read:fell_back not_compared'], []]);
  });

  test.each(['touches', 'loads'] as const)('that %s is not sent to legacy as well', async (effect) => {
    const read = readWith({ effect });
    read.succeed();
    await read.ended;
    expect(read.offered).toEqual([]);
  });
});

describe('a read of a flipped lane that only legacy can answer', () => {
  test('is answered once legacy has every write, even if it forgets by itself', async () => {
    const read = readWith({ isLegacyOnly: true, retention: { entries: 10 }, effect: 'loads' });
    expect(await read.ended).toBe('legacy');
  });

  test('fails while legacy lacks a write', async () => {
    const read = readWith({ isLegacyOnly: true, view: { isBehind: true } });
    expect([await read.ended, read.told()]).toEqual(['retryable error', ['read:unanswered behind']]);
    expect(read.deadlines).toEqual([]);
  });
});
