import { vi } from 'vitest';
import type { LaneState } from '../../../src/domain/lane.ts';
import {
  laneKeyOf,
  operationId,
  replicaId,
  serviceName,
  type LaneKey,
  type Owner,
  type ServiceName,
} from '../../../src/domain/ids.ts';
import type { Emit, EventName } from '../../../src/engine/ports/events.ts';
import type { DeliveryParts } from '../../../src/engine/delivery/deliver.ts';
import { Lane } from '../../../src/engine/lane/lane.ts';
import type { Signals } from '../../../src/engine/signals.ts';
import { createLanes } from '../../../src/engine/lane/lanes.ts';
import type { TakeOverParts } from '../../../src/engine/replicas/take-over.ts';
import { OutcomeRecorder } from '../../../src/engine/writes/outcome-recorder.ts';
import { systemClock, type Clock } from '../../../src/shared/clock.ts';
import type {
  FlagContext,
  Flags,
  Journal,
  LaneView,
  Orchestrator,
  PendingWrite,
} from '../../../src/engine/ports/ports.ts';
import { isMapped, type MappedOperation } from '../../../src/engine/calls/ask-orchestrator.ts';
import { readText } from '../../../src/domain/request.ts';
import { classify, type OwnedOperation } from '../../../src/engine/ports/operation.ts';
import { Coverage, type ServiceRuntime } from '../../../src/engine/ports/service-runtime.ts';
import type { RunStore } from '../../../src/engine/runs/run-ports.ts';
import type { ComparerParts } from '../../../src/engine/runs/lane-comparer.ts';
import { jarvisMemory } from '../../../src/services/jarvis-memory.ts';
import { NO_REVERSE_SENDS } from '../../support/no-reverse-sends.ts';

export const SERVICE: ServiceName = serviceName('jarvis-memory');

export function ownerNamed(name: string): Owner {
  return name as Owner;
}

/** A clock that stands still until it is told to pass; it needs vitest's fake timers. */
export interface FakeClock extends Clock {
  pass(ms: number): Promise<void>;
}

export function fakeClock(): FakeClock {
  let nowMs = 0;
  return {
    now: () => nowMs,
    wallMs: () => nowMs,
    sleep: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
    async pass(ms) {
      nowMs += ms;
      await vi.advanceTimersByTimeAsync(ms);
    },
  };
}

export function laneNamed(name: string): Lane {
  return new Lane(SERVICE, ownerNamed(name), fakeClock());
}

/** A write of the lane begins and ends. */
export function writeOnce(lane: Lane): void {
  lane.beginWrite();
  lane.endWrite();
}

export function stateOf(lane: { readonly key: string }, facts: Partial<LaneState> = {}): LaneState {
  return {
    id: lane.key.length,
    sequence: 0,
    generation: 0,
    epoch: 0,
    primary: 'legacy',
    condition: 'clean',
    reason: '',
    seededCoverage: 0,
    exceptions: 0,
    finding: 0,
    deliveredSequence: 0,
    mayRepeat: false,
    foundUncertain: 0,
    isHome: true,
    ...facts,
  };
}

export function writeOf(lane: { readonly key: LaneKey }, sequence: number, request = '{}'): PendingWrite {
  return {
    laneId: 1,
    lane: lane.key,
    sequence,
    operationId: operationId(`operation-${sequence}`),
    action: 'add_memory',
    request,
    acceptedAtMs: 0,
  };
}

/** jarvis-memory, which is never called, except where the facts say otherwise. */
export function serviceWith(facts: Partial<ServiceRuntime> = {}): ServiceRuntime {
  return {
    name: SERVICE,
    definition: jarvisMemory,
    context: { timeZone: 'UTC' },
    legacy: {
      send: () => Promise.reject(new Error('this test sends nothing to legacy')),
      load: () => ({ inFlight: 0, queued: 0, isConnected: true, breaker: 'closed' }),
    },
    access: {},
    deadlineMs: 1_000,
    ...facts,
  };
}

/** jarvis-memory with another lane definition, as one service. */
export function servicesWith(
  lanes: Partial<ServiceRuntime['definition']['lanes']> = {},
): ReadonlyMap<ServiceName, ServiceRuntime> {
  const definition = { ...jarvisMemory, lanes: { ...jarvisMemory.lanes, ...lanes } };
  return new Map([[SERVICE, serviceWith({ definition })]]);
}

export function coverageOf(number: number): ReadonlyMap<ServiceName, Coverage> {
  return new Map([[SERVICE, Object.assign(new Coverage(), { number, latest: number })]]);
}

/** The operation of a request that arrives now. */
export function operationOf(text: string, facts: Partial<OwnedOperation> = {}): OwnedOperation {
  const service = facts.service ?? serviceWith();
  const request = { service: service.name, body: Buffer.from(text), receivedAtMs: 0 };
  const { owner, lane, ...operation } = classify(service, request, readText(text));
  if (owner === undefined || lane === undefined) throw new Error(`no owner in ${text}`);
  return { ...operation, id: operationId('operation-1'), owner, lane, ...facts };
}

/** The operation of a read that the orchestrator can answer. */
export function mappedOf(text: string, facts: Partial<OwnedOperation> = {}): MappedOperation {
  const operation = operationOf(text, facts);
  if (!isMapped(operation)) throw new Error(`no mapped read in ${text}`);
  return operation;
}

/** What the journal knows of a lane that the orchestrator holds under coverage 1. */
export function viewOf(lane: { readonly key: string }, state: Partial<LaneState> = {}): LaneView {
  return {
    state: stateOf(lane, { seededCoverage: 1, ...state }),
    isBehind: false,
    coverage: 1,
    isReplicaSilent: false,
  };
}

/** An orchestrator that fails every call that the facts do not answer. */
export function orchestratorWith(facts: Partial<Orchestrator>): Orchestrator {
  return {
    read: () => Promise.reject(new Error('this test reads nothing from the orchestrator')),
    batchWrite: () => Promise.reject(new Error('this test writes nothing to the orchestrator')),
    writeAsPrimary: () => Promise.reject(new Error('the orchestrator is no primary in this test')),
    closeSequence: () => Promise.reject(new Error('the orchestrator is no primary in this test')),
    load: () => ({ inFlight: 0, queued: 0, isConnected: true, breaker: 'closed' }),
    onDown: () => undefined,
    ...facts,
  };
}

/** Compares a seeded lane that the orchestrator shows as empty, and that does not change in the journal. */
export function comparerParts(facts: Partial<ComparerParts>): ComparerParts {
  return {
    services: servicesWith(),
    coverage: coverageOf(1),
    journal: { fence: async (key) => viewOf({ key }), lastApplied: async () => ({ nowMs: 0 }) },
    lanes: { load: async () => laneNamed('ann') },
    baselines: { of: async () => undefined, save: async () => undefined },
    history: { between: async () => undefined },
    lostItems: { waiting: async () => [] },
    orchestrator: orchestratorWith({
      read: async () => ({ data: { session: null, items: [], consistent: true }, text: '{}' }),
    }),
    clock: { ...systemClock, sleep: async () => undefined },
    timeoutMs: 1_000,
    hold: async () => ({ isSure: () => true, release: () => undefined }),
    hideForgotten: () => undefined,
    isSpilling: () => false,
    ...facts,
  };
}

/** A replica that takes over where nothing was left; what it hands on is dropped. */
export function takeOverParts(facts: Partial<TakeOverParts>): TakeOverParts {
  const clock = facts.clock ?? fakeClock();
  const { emit } = recorder();
  return {
    identity: { id: replicaId('me') },
    journal: takenJournal(),
    lanes: createLanes(readableJournal({}), clock, () => false),
    services: servicesWith(),
    coverage: coverageOf(1),
    orchestratorPrimary: { close: async () => 'given_up' },
    deliverer: { resume: () => undefined, resumeForeign: () => undefined, forget: () => undefined },
    copies: { add: () => undefined, forget: () => undefined },
    settler: { resume: () => undefined, closeFound: () => undefined, copyAnew: () => undefined },
    outcomeRecorder: outcomeRecorderOf(clock),
    kept: { lost: async () => undefined },
    clock,
    emit,
    signals: NO_SIGNALS,
    backfillAnew: () => undefined,
    ...facts,
  };
}

/** The journal of a take-over, in which nothing is left. */
export function takenJournal(facts: Partial<TakeOverParts['journal']> = {}): TakeOverParts['journal'] {
  return {
    ...readableJournal({}),
    recover: async () => ({ dirty: [], pending: [], unclosed: [], open: [] }),
    markDirty: async () => undefined,
    tellHome: async () => undefined,
    ...facts,
  };
}

/** An outcome recorder before a journal that takes every outcome. */
export function outcomeRecorderOf(clock: Clock): OutcomeRecorder {
  const journal = { recordOutcome: async () => undefined, abandon: async () => undefined };
  return new OutcomeRecorder({ journal, clock, emit: recorder().emit, signals: NO_SIGNALS });
}

/** Deliveries of jarvis-memory under coverage 1, each recorded at once. */
export function deliveryParts(facts: Partial<DeliveryParts>): DeliveryParts {
  return {
    journal: {
      ...readableJournal({}),
      delivered: async () => undefined,
      deadLetter: async () => undefined,
    },
    reverse: {
      sends: NO_REVERSE_SENDS,
      proofs: { proved: async () => undefined },
      mayAct: () => true,
      journalKeptMs: 0,
      isComplete: () => false,
    },
    orchestrator: orchestratorWith({}),
    services: servicesWith(),
    coverage: coverageOf(1),
    clock: systemClock,
    emit: recorder().emit,
    batchSize: 200,
    timeoutMs: 1_000,
    random: () => 0.5,
    isAlone: () => true,
    signals: NO_SIGNALS,
    ...facts,
  };
}

/** A run store without runs. Every claim succeeds. */
export function runStoreWith(facts: Partial<RunStore>): RunStore {
  return {
    create: async () => undefined,
    takeUp: async () => true,
    get: async () => undefined,
    recent: async () => [],
    open: async () => [],
    progress: async () => ({ lanes: 1, lanesDone: 1, services: {} }),
    standing: async () => new Map(),
    tallies: async () => ({}),
    claimListing: async () => true,
    addLanes: async () => undefined,
    cutPages: async () => 1,
    surveyed: async () => undefined,
    change: async () => true,
    claimPage: async () => undefined,
    finishPage: async () => undefined,
    releasePage: async () => undefined,
    pagesLeft: async () => 0,
    report: async () => undefined,
    figures: () => Promise.reject(new Error('this test reads no figures')),
    ...facts,
  };
}

/** A journal that can only be read: its lanes, and the applied writes it holds. */
export function readableJournal(facts: {
  readonly lanes?: readonly { readonly owner: string; readonly state: Partial<LaneState> }[];
  readonly writes?: readonly PendingWrite[];
  readonly asked?: string[];
}): Pick<Journal, 'lanes' | 'pending' | 'fence' | 'lastApplied'> {
  const states = new Map(
    (facts.lanes ?? []).map(({ owner, state }) => {
      const key = laneKeyOf(SERVICE, ownerNamed(owner));
      return [key, stateOf({ key }, state)];
    }),
  );
  return {
    fence: async () => undefined,
    lastApplied: async () => ({ nowMs: 0 }),
    async lanes(keys) {
      facts.asked?.push(...keys);
      return new Map([...states].filter(([key]) => keys.includes(key)));
    },
    async pending(lane, after, most) {
      facts.asked?.push(`${lane} after ${after}`);
      const writes = (facts.writes ?? []).filter((write) => write.lane === lane && write.sequence > after);
      let bytes = 0;
      return writes.slice(0, most.writes).filter(({ request }) => {
        bytes += request.length;
        return bytes - request.length < most.bytes;
      });
    },
  };
}

export interface Recorded {
  readonly emit: Emit;
  readonly names: () => EventName[];
  readonly events: { readonly name: EventName; readonly event: object }[];
}

export function recorder(): Recorded {
  const events: Recorded['events'] = [];
  return {
    events,
    emit: (name, event) => void events.push({ name, event }),
    names: () => events.map(({ name }) => name),
  };
}

/** Flags of which only the named ones are on. */
export function flagsThatAreOn(
  names: readonly string[],
  seen: FlagContext[] = [],
): Flags & { readonly seen: FlagContext[] } {
  return {
    seen,
    isEnabled(flag, context) {
      seen.push(context);
      if (context.atMost === 0) return { enabled: false, reason: 'off' };
      return names.includes(flag) ? { enabled: true, reason: 'on' } : { enabled: false, reason: 'off' };
    },
    killSwitch: () => names.includes('kill-switch'),
    percentage: () => 0,
    version: () => 1,
    onChange: () => undefined,
  };
}

/** Signals to parts that a test leaves out. */
export const NO_SIGNALS: Signals = {
  note: () => undefined,
  copyAnew: () => undefined,
  overtaken: async () => undefined,
  letGo: async () => undefined,
  busy: () => undefined,
  replicasChanged: async () => true,
  taken: async () => undefined,
  isShut: () => false,
  beatNow: () => undefined,
  spilled: () => undefined,
  recover: async () => undefined,
};
