import { replicaId, type LaneKey } from '../../../src/domain/ids.ts';
import { ReplicaIdentity } from '../../../src/migration/replicas/replica-identity.ts';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Comparison } from '../../../src/domain/comparison.ts';
import type { LegacyReadEffect, MappedRead } from '../../../src/domain/service-definition.ts';
import type { Backend } from '../../../src/domain/backend.ts';
import type { MappedOperation } from '../../../src/migration/ask-orchestrator.ts';
import { Verdicts } from '../../../src/migration/compare/verdicts.ts';
import { createLanes } from '../../../src/migration/lanes/lanes.ts';
import type { StoredDifference } from '../../../src/migration/shadow/difference-store.ts';
import { Coverage } from '../../../src/migration/service-runtime.ts';
import { ShadowReads } from '../../../src/migration/shadow/shadow-reads.ts';
import { Snapshot } from '../../../src/migration/lanes/snapshot.ts';
import { Fences } from '../../../src/migration/lanes/fences.ts';
import { createHoldLane } from '../../../src/migration/lanes/hold-lane.ts';
import { jarvisMemory } from '../../../src/services/jarvis-memory.ts';
import { fakeClock, ownerNamed, readableJournal, recorder, SERVICE, stateOf } from './engine-parts.ts';

const OWNER = ownerNamed('ann');
const replyOf = (text: string): string => JSON.stringify({ status: 'ok', memories: [{ memory: text }] });

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** Shadow reads of one lane whose backends answer what the test says. */
function begin(
  facts: {
    effect?: LegacyReadEffect;
    random?: number;
    rules?: MappedRead['rules'];
    removed?: () => Promise<ReadonlySet<string>>;
    isAlone?: boolean;
    /** Whether no other replica has given this one up. @defaultValue true */
    mayAct?: () => boolean;
  } = {},
) {
  const clock = fakeClock();
  const { emit, events, names } = recorder();
  const state = { seededCoverage: 1 };
  const journal = {
    ...readableJournal({ lanes: [{ owner: OWNER, state }] }),
    hold: async ({ length }: LaneKey) => stateOf({ key: ' '.repeat(length) }, state),
    releaseHold: async () => undefined,
  };
  const lanes = createLanes(journal, clock, () => false);
  const coverage = new Coverage();
  const isAlone = () => true;
  coverage.number = 1;
  const read = jarvisMemory.actions['get_memories'] as MappedRead;
  const actions = { ...jarvisMemory.actions, get_memories: { ...read, rules: facts.rules ?? read.rules } };
  const definition = { ...jarvisMemory, actions };
  const services = new Map([[SERVICE, { definition, context: { timeZone: 'UTC' } }]]);
  const verdicts = new Verdicts({ services, clock, emit });
  const asked: { readonly backend: Backend; readonly isHeld: boolean }[] = [];
  const answers = { legacy: replyOf('x'), orchestrator: replyOf('x') };
  const lane = lanes.of(SERVICE, OWNER);
  let onAsked = (): void => undefined;
  const ask = async (backend: Backend): Promise<string> => {
    asked.push({ backend, isHeld: lane.turn.isTaken });
    onAsked();
    return answers[backend];
  };
  const stored: StoredDifference[] = [];
  const shadows = new ShadowReads({
    lanes,
    verdicts,
    removed: facts.removed && { of: facts.removed },
    fences: new Fences({
      journal,
      coverage: new Map([[SERVICE, coverage]]),
      clock,
      isAlone,
      isSpilling: () => false,
    }),
    hold: createHoldLane({
      journal,
      clock,
      isAlone: () => facts.mayAct === undefined,
      identity: new ReplicaIdentity(() => replicaId('here')),
      mayAct: facts.mayAct ?? (() => true),
      busy: () => undefined,
    }),
    isAlone: () => facts.isAlone ?? true,
    callLegacy: async () => ({ reply: { body: Buffer.from(await ask('legacy')) }, durationMs: 1 }),
    askOrchestrator: () => ask('orchestrator'),
    differences: { add: async (difference) => void stored.push(difference), recent: async () => [] },
    random: () => facts.random ?? 1,
    clock,
    emit,
    queueSize: 10,
    concurrency: 1,
    timeoutMs: 100,
  });
  const operation = {
    id: 'operation',
    name: 'get_memories',
    service: { name: SERVICE, definition, legacy: { load: () => ({ queued: 0 }) } },
    owner: OWNER,
    lane: lane.key,
    message: { fields: {}, text: '{}' },
    action: { ...jarvisMemory.actions['get_memories'], onLegacy: () => facts.effect ?? 'nothing' },
  } as unknown as MappedOperation;
  return {
    asked,
    answers,
    events,
    lane,
    names,
    stored,
    verdicts,
    whenAsked: (then: () => void) => {
      onAsked = then;
    },
    offer: async (text = answers.legacy, primary: Backend = 'legacy'): Promise<void> => {
      await lanes.load(SERVICE, OWNER);
      const before = new Snapshot(lane);
      shadows.offer({ operation, primary, text, primaryMs: 3, before, isCompared: true });
      await clock.pass(1);
    },
    pass: (ms: number) => clock.pass(ms),
    verdict: (): Comparison | undefined =>
      (events.find(({ name }) => name === 'shadow:compared')?.event as { comparison?: Comparison })
        ?.comparison,
  };
}

describe('a racy pair', () => {
  test('is read again after 0.25, 1 and 5 s, the last time under a hold', async () => {
    const at = begin();
    at.whenAsked(() => (at.lane.activity += 1));
    await at.offer();
    expect(at.asked.map(({ backend }) => backend)).toEqual(['orchestrator']);
    for (const [afterMs, reads] of [
      [250, 3],
      [1_000, 5],
      [5_000, 7],
    ] as const) {
      await at.pass(afterMs - 40);
      expect(at.asked).toHaveLength(reads - 2);
      await at.pass(60);
      expect(at.asked).toHaveLength(reads);
    }
    expect(at.asked.map(({ isHeld }) => isHeld)).toEqual([false, false, false, false, false, true, true]);
    expect(at.verdict()).toMatchObject({ verdict: 'match' });
  });

  test.each(['touches', 'loads'] as const)(
    'of a read that %s is read again once, under a hold',
    async (effect) => {
      const at = begin({ effect });
      at.whenAsked(() => (at.lane.activity += 1));
      await at.offer();
      await at.pass(10_000);
      expect(at.asked.map(({ backend, isHeld }) => `${backend} ${isHeld}`)).toEqual([
        'orchestrator false',
        'legacy true',
        'orchestrator true',
      ]);
      expect(at.verdict()).toMatchObject({ verdict: 'match' });
    },
  );

  test('proves nothing where others gave this replica up, and with it its hold, while it read', async () => {
    const at = begin({ mayAct: () => false });
    at.whenAsked(() => (at.lane.activity += 1));
    at.answers.orchestrator = replyOf('y');
    await at.offer();
    for (const ms of [300, 1_100, 5_100]) await at.pass(ms);
    expect(at.verdict()).toMatchObject({ verdict: 'not_comparable', reason: 'racy' });
  });

  test('of a read that cuts is never read again', async () => {
    const at = begin({ effect: 'cuts' });
    at.whenAsked(() => (at.lane.activity += 1));
    await at.offer();
    await at.pass(10_000);
    expect(at.asked).toHaveLength(1);
    expect(at.verdict()).toMatchObject({ verdict: 'not_comparable', reason: 'racy' });
  });
});

describe('a difference', () => {
  test('counts when it survives a second look, with what was compared', async () => {
    const at = begin();
    at.answers.orchestrator = replyOf('y');
    await at.offer();
    expect(at.verdict()).toBeUndefined();
    await at.pass(300);
    expect(at.verdict()).toMatchObject({ verdict: 'mismatch' });
    expect(at.stored).toMatchObject([{ sample: { legacy: replyOf('x'), orchestrator: replyOf('y') } }]);
  });

  test('that is gone at the second look does not count', async () => {
    const at = begin();
    at.answers.orchestrator = replyOf('y');
    await at.offer();
    at.answers.orchestrator = replyOf('x');
    await at.pass(300);
    expect(at.verdict()).toMatchObject({ verdict: 'match' });
    expect(at.stored).toEqual([]);
  });
});

describe('noise', () => {
  test('is measured by asking legacy again, where that does nothing to it', async () => {
    const at = begin({ random: 0 });
    for (let read = 0; read < 5; read += 1) await at.offer();
    expect(at.asked.filter(({ backend }) => backend === 'legacy')).toHaveLength(5);
    expect(at.verdicts.report(SERVICE).actions['get_memories']).toMatchObject({ repeats: 5, noise: [] });
  });

  test('is not measured where a read does something to legacy', async () => {
    const at = begin({ random: 0, effect: 'touches' });
    await at.offer();
    expect(at.asked.map(({ backend }) => backend)).toEqual(['orchestrator']);
  });

  test('of the orchestrator excuses nothing, although it answers the agents', async () => {
    const at = begin({ random: 0 });
    for (let read = 0; read < 20; read += 1) {
      at.answers.orchestrator = replyOf(`again ${read}`);
      await at.offer(replyOf(`another ${read}`), 'orchestrator');
      await at.pass(1_000);
    }
    expect(at.verdicts.report(SERVICE).actions['get_memories']).toMatchObject({ repeats: 20, noise: [] });
    expect(at.stored).toHaveLength(20);
  });

  test('of a legacy service that never says the same twice is set apart', async () => {
    const at = begin({ random: 0 });
    let said = 0;
    at.whenAsked(() => {
      said += 1;
      at.answers.legacy = replyOf(`${said}`);
      at.answers.orchestrator = replyOf(`o${said}`);
    });
    for (let read = 0; read < 20; read += 1) await at.offer(replyOf('first'));
    await at.pass(10_000);
    const { noise, repeats } = at.verdicts.report(SERVICE).actions['get_memories'] ?? {};
    expect(repeats).toBe(20);
    expect(noise).toMatchObject([{ place: 'value memories[].memory', noisy: 20, differing: 20 }]);
    const concluded = at.events.flatMap(({ name, event }) =>
      name === 'shadow:compared' ? [(event as { comparison: Comparison }).comparison.reason] : [],
    );
    expect(concluded).toContain('noise');
  });
});

describe('a removed item', () => {
  const rules: MappedRead['rules'] = [
    {
      kind: 'ranking',
      path: 'memories',
      key: 'id',
      owner: 'test',
      reason: 'a search',
      floors: { overlap: 0, rankBiasedOverlap: 0 },
    },
  ];
  const found = (...ids: readonly (string | number)[]): string =>
    JSON.stringify({ status: 'ok', memories: ids.map((id) => ({ id })) });
  const returned = (at: ReturnType<typeof begin>) =>
    at.events.filter(({ name }) => name === 'comparison:deleted_returned').map(({ event }) => event);
  const removed = async () => new Set(['7', 'gone']);

  test('that only the orchestrator shows is told at once', async () => {
    const at = begin({ rules, removed });
    at.answers.orchestrator = found('a', 7, 'gone');
    await at.offer(found('a'));
    expect(returned(at)).toMatchObject([{ service: SERVICE, items: 2, lane: at.lane.key }]);
  });

  test('that legacy shows too was written again', async () => {
    const at = begin({ rules, removed });
    at.answers.orchestrator = found('a', 7);
    await at.offer(found(7, 'a'));
    expect(returned(at)).toEqual([]);
    expect(at.verdict()).toMatchObject({ verdict: 'match' });
  });

  test('is proved under a hold where other replicas write', async () => {
    const at = begin({ rules, removed, isAlone: false });
    at.answers.legacy = found('a');
    at.answers.orchestrator = found('a', 'gone');
    await at.offer(found('a'));
    expect(returned(at)).toEqual([]);
    for (const ms of [300, 1_100, 5_100]) await at.pass(ms);
    expect(at.asked.at(-1)).toMatchObject({ isHeld: true });
    expect(returned(at)).toMatchObject([{ items: 1 }]);
  });

  test('is not looked for where the journal cannot say which are removed; the answers are compared all the same', async () => {
    const at = begin({ rules, removed: () => Promise.reject(new Error('away')) });
    at.answers.orchestrator = found('a', 'gone');
    await at.offer(found('a'));
    expect(returned(at)).toEqual([]);
    expect(at.names()).toContain('journal:failed');
    expect(at.verdict()).toMatchObject({ verdict: 'match' });
  });
});
