import { systemClock } from '../../src/shared/clock.ts';
import { replicaId, serviceName } from '../../src/domain/ids.ts';
import type { PlacedLane } from '../../src/domain/lane.ts';
import type { ServiceFlag } from '../../src/domain/flags.ts';
import { createEvents, type Events } from '../../src/engine/ports/events.ts';
import { createMigration, type Migration } from '../../src/engine/migration.ts';
import type { CoverageStore, Flags, Journal, Orchestrator } from '../../src/engine/ports/ports.ts';
import { ReplicaIdentity, type ReplicaStore } from '../../src/engine/ports/replica-ports.ts';
import type { ServiceRuntime } from '../../src/engine/ports/service-runtime.ts';
import { NO_REVERSE_SENDS } from '../support/no-reverse-sends.ts';
import { sessionMemory } from '../../src/services/session-memory/session-memory.ts';

export const SERVICE = serviceName(sessionMemory.name);

const IDLE = { inFlight: 0, queued: 0, isConnected: true, breaker: 'closed' } as const;
const STORED = { body: Buffer.from('{"status": "success", "request_id": "r1"}') };
const READ = { body: Buffer.from('{"status": "success", "context": [], "request_id": "r1"}') };

/** What tells a read from a write: to look for its name would cost as much as some of what is measured. */
const FIRST_OF_ACTION = Buffer.from('{"action":"').length;
const G = 'g'.charCodeAt(0);

/** session-memory behind a backend that answers at once and keeps nothing. */
export function noopService(): ServiceRuntime {
  return {
    name: SERVICE,
    definition: sessionMemory,
    context: { timeZone: 'UTC' },
    legacy: {
      send: async (call) => {
        call.onSent?.();
        return call.body[FIRST_OF_ACTION] === G ? READ : STORED;
      },
      load: () => IDLE,
    },
    access: { call: () => Promise.reject(new Error('Nothing is asked')), sqlite: async () => [] },
    deadlineMs: 4_500,
  };
}

/** Takes every write and holds nothing. */
export function noopOrchestrator(): Orchestrator {
  const applied = { result: 'applied' } as const;
  const nothing = { data: { items: [], total: 0 }, text: '{"items": [], "total": 0}' };
  return {
    read: async () => nothing,
    batchWrite: async (operations) => operations.map(() => applied),
    writeAsPrimary: async ({ operations }) => ({ results: operations.map(() => ({})) }),
    closeSequence: async () => 'closed',
    load: () => IDLE,
    onDown: () => undefined,
  };
}

export interface EngineEdges {
  readonly journal: Journal;
  readonly coverageStore: CoverageStore;
  readonly replicas: ReplicaStore;
  readonly replica: ReplicaIdentity;
  readonly orchestrator: Orchestrator;
  readonly flagsOn: readonly ServiceFlag[];
}

/** The engine alone between these edges, with the settings of a fresh installation. */
export function engineBetween(edges: EngineEdges): { migration: Migration; events: Events } {
  const events = createEvents();
  const migration = createMigration({
    ...edges,
    services: new Map([[SERVICE, noopService()]]),
    flags: flagsThatAreOn(edges.flagsOn),
    reverseSends: NO_REVERSE_SENDS,
    reverseProofs: {
      proved: async () => undefined,
      provenAt: async () => undefined,
      claimCanary: async () => false,
    },
    keptReplies: {
      keep: async () => undefined,
      lost: async () => undefined,
      unanswered: async () => [],
      take: async () => undefined,
    },
    differences: { add: async () => undefined, recent: async () => [] },
    events,
    clock: systemClock,
    // Nothing is read back: there is nothing to be read.
    random: () => 0.5,
    settings: {
      limits: { messageBytes: 4 * 1024 * 1024, jsonDepth: 500 },
      delivery: { batchSize: 200, timeoutMs: 5_000 },
      reads: { timeoutMs: 250 },
      shadow: { queueSize: 1_000, concurrency: 16, timeoutMs: 2_000 },
      copyConcurrency: 2,
    },
  });
  return { migration, events };
}

export function flagsThatAreOn(names: readonly ServiceFlag[]): Flags {
  const on = new Set(names);
  return {
    isEnabled: (flag) => (on.has(flag) ? { enabled: true, reason: 'on' } : { enabled: false, reason: 'off' }),
    killSwitch: () => false,
    percentage: (flag) => (on.has(flag) ? 100 : 0),
    version: () => 1,
    onChange: () => undefined,
  };
}

/** A journal that forgets everything: what is left is the engine's own work. */
export function noopJournal(): Journal {
  const lanes = new Map<string, { id: number; sequence: number }>();
  const stateOf = ({ id, sequence }: { id: number; sequence: number }): PlacedLane => ({
    id,
    sequence,
    generation: 0,
    epoch: 0,
    primary: 'legacy',
    condition: 'clean',
    reason: '',
    seededCoverage: 1,
    exceptions: 0,
    finding: 0,
    deliveredSequence: 0,
    isHome: true,
    mayRepeat: false,
    foundUncertain: 0,
    writes: 'open',
  });
  const done = async (): Promise<undefined> => undefined;
  return {
    async append({ lane }) {
      const row = lanes.get(lane) ?? { id: lanes.size + 1, sequence: 0 };
      row.sequence += 1;
      lanes.set(lane, row);
      return stateOf(row);
    },
    recordOutcome: done,
    nameItems: async () => true,
    resolveLate: done,
    abandon: done,
    delivered: done,
    markDirty: done,
    deadLetter: done,
    // A replica that was starved beyond its lease asks again what is left to deliver.
    lanes: async (keys) =>
      new Map(
        keys.flatMap((key) => {
          const row = lanes.get(key);
          return row === undefined
            ? []
            : [[key, { ...stateOf(row), deliveredSequence: row.sequence }] as const];
        }),
      ),
    pending: async () => [],
    undelivered: async () => [],
    deliveredSinceCopy: async () => [],
    lastApplied: async () => ({ nowMs: Date.now() }),
    beginCopy: done,
    hold: done,
    releaseHold: done,
    tellHome: done,
    outdated: async () => [],
    returned: async () => [],
    takeForeign: async () => new Map(),
    unwell: async () => [],
    fence: done,
    fences: async () => new Map(),
    finishCopy: done,
    cleanSpilled: done,
    stopLane: done,
    recover: async () => ({ dirty: [], unclosed: [], pending: [], open: [] }),
    counts: async () => ({
      lanes: 0,
      flipped: 0,
      legacyDiffers: 0,
      seeded: 0,
      dirty: 0,
      copying: 0,
      stopped: 0,
      excepted: 0,
      differs: 0,
      deadLetters: 0,
      unknown: 0,
      lostItems: 0,
      restored: 0,
    }),
  };
}

/** A replica that is alone, under coverage 1 or none, without a database. */
export function aloneWithout(hasCoverage: boolean): Omit<EngineEdges, 'flagsOn'> {
  const replica = new ReplicaIdentity(() => replicaId('00000000-0000-4000-8000-000000000000'));
  const number = hasCoverage ? 1 : 0;
  return {
    replica,
    journal: noopJournal(),
    orchestrator: noopOrchestrator(),
    coverageStore: {
      current: async () => ({ number, isQuiet: true }),
      begin: async () => number,
      quiet: async () => undefined,
      end: async () => true,
      renewAfterLoss: async () => undefined,
    },
    replicas: {
      register: async () => 0,
      heartbeat: async () => ({
        replicas: [{ replica: replica.id, silentMs: 0, coverage: {} }],
        isAnySpilled: false,
        nowMs: 0,
      }),
      leave: async () => undefined,
    },
  };
}

/** A request as a frontend hands it over. */
export function requestOf(fields: Readonly<Record<string, unknown>>) {
  return { service: SERVICE, body: Buffer.from(JSON.stringify(fields)) };
}
