import {
  decodeAnswer,
  decodeResults,
  encodeBatch,
  encodeRead,
} from '../../../../src/backends/orchestrator-wire.ts';
import type { LaneState } from '../../../../src/domain/lane.ts';
import type { OrchestratorWrite } from '../../../../src/domain/orchestrator-call.ts';
import type { ServiceDefinition } from '../../../../src/domain/service-definition.ts';
import { LaneCopier, type CopyParts } from '../../../../src/engine/copies/copy-lane.ts';
import type { Lane } from '../../../../src/engine/lane/lane.ts';
import type { LostAs } from '../../../../src/engine/ports/lost-items.ts';
import type { Journal, Orchestrator, PendingWrite } from '../../../../src/engine/ports/ports.ts';
import { Coverage } from '../../../../src/engine/ports/service-runtime.ts';
import { orchestratorWritesOf } from '../../../../src/engine/items/write-facts.ts';
import { jarvisMemory } from '../../../../src/services/jarvis-memory.ts';
import { OrchestratorStore } from '../../../sim/orchestrator-store.ts';
import { answerRequest } from '../../../sim/orchestrator-wire.ts';
import {
  fakeClock,
  laneNamed,
  NO_SIGNALS,
  orchestratorWith,
  recorder,
  SERVICE,
  stateOf,
  writeOf,
  serviceWith,
} from '../engine-parts.ts';

export const COVERAGE = 3;
const ENVELOPE = { requestId: 'test', timestamp: '', key: undefined };
const NO_FAULTS = {
  isFenceOff: false,
  isDropped: () => false,
  isRefused: () => false,
  resurrects: () => false,
};

/** What happens to the lane or to the orchestrator at a moment of the copy. */
interface Moments {
  readonly whileReading?: () => void;
  /** Until the outcomes are durable. */
  readonly untilRecorded?: () => void;
  readonly afterLooking?: () => Promise<void>;
  readonly whileFinishing?: (lane: Lane) => void;
}

/** What the copier finds. */
interface Given {
  seededCoverage?: number;
  sequence?: number;
  epoch?: number;
  undelivered?: PendingWrite[];
  /** Recorded as delivered. */
  delivered?: PendingWrite[];
  history?: PendingWrite[];
  store?: OrchestratorStore;
  timestamp?: string;
  /** What is listed as lost. */
  waiting?: LostAs[];
  definition?: ServiceDefinition;
  spills?: Spills;
  /** Of the service, as the replica and the journal know it. */
  coverage?: Coverage;
}

/** What replicas have written without the journal. */
export interface Spills {
  isOwn: boolean;
  isOther: boolean;
}

const NOTHING = { undelivered: [], delivered: [], history: [] } satisfies Given;

/** A copier of one lane, whose service shows these memories, in front of the simulation's orchestrator. */
export function createCopier(memories: readonly string[], moments: Moments = {}, given: Given = {}) {
  const { undelivered, delivered, history, ...stored } = { ...NOTHING, ...given };
  const {
    store = new OrchestratorStore(NO_FAULTS),
    timestamp = '"2026-01-01T00:00:00"',
    waiting = [],
    definition = jarvisMemory,
    spills = { isOwn: false, isOther: false },
    coverage = openCoverage(),
    ...known
  } = stored;
  const lane = laneNamed('ann');
  const fresh = { id: 1, sequence: 4, generation: 1, seededCoverage: COVERAGE };
  const row: LaneState = stateOf(lane, { ...fresh, ...known });
  lane.adopt(row);
  const sent: string[] = [];
  store.onCommit = ({ operations }) => sent.push(...operations.map(({ raw }) => raw['content'] ?? ''));
  const orchestrator = orchestratorOver(store, moments);
  const items = memories.map((memory) => `{"timestamp": ${timestamp}, "memory": ${JSON.stringify(memory)}}`);
  const file = `{"ann": [${items.join(', ')}]}`;
  const service = serviceWith({
    definition,
    access: {
      jsonFile: async () => {
        moments.whileReading?.();
        return file;
      },
    },
  });
  let generation = Math.max(row.generation, store.lanes.generationOf(lane.key) ?? 0);
  const held = { isSure: true };
  const begun: number[] = [];
  const finished: number[] = [];
  const covered: number[] = [];
  const lost: string[] = [];
  const journal: Partial<Journal> = {
    beginCopy: async (_lane, above = 0) => {
      generation = Math.max(generation, above) + 1;
      begun.push(generation);
      return { ...row, generation, condition: 'copying' };
    },
    undelivered: async (_lane, _through, heldUpTo = Infinity) => [
      ...delivered.filter(({ sequence }) => sequence > heldUpTo),
      ...undelivered,
    ],
    deliveredSinceCopy: async () => delivered,
    lastApplied: async () => ({ nowMs: 0 }),
    fence: async () => ({
      state: { ...row, condition: 'copying' },
      isBehind: false,
      coverage: coverage.number,
      isReplicaSilent: spills.isOther,
    }),
    finishCopy: async (_lane, { sequence }) => {
      moments.whileFinishing?.(lane);
      finished.push(sequence);
      return { ...row, generation, deliveredSequence: sequence };
    },
    stopLane: async () => undefined,
  };
  const parts: CopyParts = {
    journal: journal as Journal,
    orchestrator,
    services: new Map([[SERVICE, service]]),
    coverage: new Map([[SERVICE, coverage]]),
    clock: fakeClock(),
    emit: recorder().emit,
    timeoutMs: 1_000,
    recordedUpTo: async () => moments.untilRecorded?.(),
    hold: async () => ({ isSure: () => held.isSure, release: () => undefined }),
    isSpilling: () => spills.isOwn,
    isAlone: () => !spills.isOther,
    history: { between: async () => history },
    quiet: async () => undefined,
    signals: NO_SIGNALS,
    listedLost: async () => waiting,
    listLost: async (_lane, items) => {
      lost.push(...items.map(({ memoryId }) => memoryId));
      waiting.push(...items);
    },
    covered: (_lane, sequence) => void covered.push(sequence),
  };
  return {
    copier: new LaneCopier(parts),
    lane,
    store,
    orchestrator,
    held,
    begun,
    finished,
    covered,
    lost,
    sent,
  };
}

export const openCoverage = (): Coverage =>
  Object.assign(new Coverage(), { number: COVERAGE, latest: COVERAGE });

function orchestratorOver(store: OrchestratorStore, { afterLooking }: Moments): Orchestrator {
  let hasLooked = false;
  return orchestratorWith({
    read: async (call) => {
      const answer = decodeAnswer(answerRequest(store, encodeRead(call, ENVELOPE)));
      if (!hasLooked && call.action !== 'lane_positions') {
        hasLooked = true;
        await afterLooking?.();
      }
      return answer;
    },
    batchWrite: async (operations) => {
      const reply = answerRequest(store, encodeBatch(operations, ENVELOPE));
      return decodeResults(decodeAnswer(reply), operations.length);
    },
  });
}

export const writesOf = (lane: Lane, write: PendingWrite): readonly OrchestratorWrite[] => {
  const service = { definition: jarvisMemory, context: { timeZone: 'UTC' } } as never;
  return orchestratorWritesOf(service, { owner: lane.owner, write });
};

/** What a delivery sends of an agent's write, under the generation that it knew when it was sent. */
export function deliveryOf(lane: Lane, memory: string, generation: number): OrchestratorWrite[] {
  const request = JSON.stringify({ action: 'add_memory', user_id: 'ann', memory });
  const fence = { key: lane.key, generation, sequence: 4 };
  return writesOf(lane, writeOf(lane, 4, request)).map((write) => ({ ...write, lane: fence }));
}

export const sessionOf = (lane: Lane): string => `jarvis:${lane.owner}`;
export const shownBy = (store: OrchestratorStore, lane: Lane): string[] =>
  store.visible(sessionOf(lane)).flatMap(({ content }) => /tea|milk|stale/u.exec(content)?.[0] ?? []);
