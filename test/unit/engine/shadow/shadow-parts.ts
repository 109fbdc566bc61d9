import type { Comparison } from '../../../../src/domain/comparison.ts';
import { type LaneKey, replicaId } from '../../../../src/domain/ids.ts';
import type { LegacyReadEffect, MappedRead } from '../../../../src/domain/service-definition.ts';
import type { Backend } from '../../../../src/domain/backend.ts';
import { Verdicts } from '../../../../src/engine/compare/verdicts.ts';
import { Watermarks } from '../../../../src/engine/delivery/watermarks.ts';
import { createLanes, Snapshot } from '../../../../src/engine/lane/lanes.ts';
import { ReplicaIdentity } from '../../../../src/engine/ports/replica-ports.ts';
import type { StoredDifference } from '../../../../src/engine/compare/comparison-stores.ts';
import { Coverage } from '../../../../src/engine/ports/service-runtime.ts';
import type { GoneBy } from '../../../../src/engine/shadow/shadow-task.ts';
import { ShadowReads } from '../../../../src/engine/shadow/shadow-reads.ts';
import { Fences } from '../../../../src/engine/lane/fence.ts';
import { createHoldLane } from '../../../../src/engine/lane/hold-lane.ts';
import { jarvisMemory } from '../../../../src/services/jarvis-memory.ts';
import {
  fakeClock,
  mappedOf,
  ownerNamed,
  readableJournal,
  recorder,
  SERVICE,
  serviceWith,
  stateOf,
  writeOnce,
} from '../engine-parts.ts';

const OWNER = ownerNamed('ann');

export const replyOf = (text: string): string =>
  JSON.stringify({ status: 'ok', memories: [{ memory: text }] });

/** Shadow reads of one lane whose backends answer what the test says. */
export function beginShadowReads(
  facts: {
    effect?: LegacyReadEffect;
    random?: number;
    rules?: MappedRead['rules'];
    removed?: (service: unknown, lane: unknown, upTo?: number) => Promise<ReadonlySet<string>>;
    isAlone?: boolean;
    queueSize?: number;
    /** The orchestrator is primary for the lane. @defaultValue false */
    isFlipped?: boolean;
    /** @defaultValue 1: the lane is seeded */
    seededCoverage?: number;
    /** What the comparison of the whole lane says of items that legacy does not show. */
    goneBy?: GoneBy;
    /** Whether no other replica has given this one up. @defaultValue true */
    mayAct?: () => boolean;
  } = {},
) {
  const clock = fakeClock();
  const { emit, events, names } = recorder();
  const { isFlipped = false } = facts;
  const flipped = isFlipped && ({ primary: 'orchestrator', epoch: 1 } as const);
  const state = { seededCoverage: facts.seededCoverage ?? 1, ...flipped };
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
  let onAsked = (_backend: Backend): void => undefined;
  const ask = async (backend: Backend): Promise<string> => {
    asked.push({ backend, isHeld: lane.turn.isTaken });
    onAsked(backend);
    return answers[backend];
  };
  const stored: StoredDifference[] = [];
  const doubted: LaneKey[] = [];
  const explained: LaneKey[] = [];
  const watermarks = new Watermarks({
    clock,
    isAlone: () => facts.isAlone ?? true,
    onEnd: () => undefined,
  });
  const shadows = new ShadowReads({
    lanes,
    watermarks,
    verdicts,
    samples: { sample: () => undefined, doubt: ({ lane: key }) => void doubted.push(key) },
    removed: facts.removed && { of: facts.removed },
    explainGone: async ({ lane: key }) => {
      explained.push(key);
      return facts.goneBy;
    },
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
    queueSize: facts.queueSize ?? 30,
    concurrency: 1,
    timeoutMs: 100,
  });
  const action = { ...read, onLegacy: () => facts.effect ?? 'nothing' };
  const service = serviceWith({
    definition: { ...definition, actions: { ...actions, get_memories: action } },
  });
  const operation = mappedOf('{"action": "get_memories", "user_id": "ann"}', { service });
  return {
    asked,
    answers,
    doubted,
    explained,
    events,
    lane,
    names,
    stored,
    verdicts,
    watermarks,
    whenAsked: (then: (backend: Backend) => void) => {
      onAsked = then;
    },
    offer: async (text = answers.legacy, primary: Backend = 'legacy'): Promise<void> => {
      await lanes.load(SERVICE, OWNER);
      const before = new Snapshot(lane);
      shadows.offer({ operation, primary, isFlipped, text, primaryMs: 3, before, isCompared: true });
      await clock.pass(1);
    },
    /** As an agent's read of legacy is offered: with a watermark where its lane stands. */
    offerMarked: async (text = answers.legacy): Promise<void> => {
      await lanes.load(SERVICE, OWNER);
      const before = new Snapshot(lane);
      const watermark = watermarks.stopForRead(lane);
      shadows.offer({
        operation,
        primary: 'legacy',
        text,
        primaryMs: 3,
        before,
        isCompared: true,
        watermark,
      });
      await clock.pass(1);
    },
    /** An agent's write takes effect on legacy. */
    write: (): void => {
      lane.adopt(stateOf(lane, { ...state, sequence: lane.sequence + 1, seededCoverage: coverage.number }));
      lane.appliedUpTo(lane.sequence);
      writeOnce(lane);
    },
    pass: (ms: number) => clock.pass(ms),
    verdict: (by: 'shadow:compared' | 'flipped:compared' = 'shadow:compared'): Comparison | undefined =>
      (events.find(({ name }) => name === by)?.event as { comparison?: Comparison })?.comparison,
  };
}
