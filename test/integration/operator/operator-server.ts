import type { Status } from '../../../src/operator/api/status.ts';
import { systemClock } from '../../../src/shared/clock.ts';
import { Arms } from '../../../src/operator/arms.ts';
import { fastify } from 'fastify';
import { StorageError } from '../../../src/domain/errors.ts';
import type { ServiceFlag } from '../../../src/domain/flags.ts';
import { operationId, serviceName, type LaneKey } from '../../../src/domain/ids.ts';
import type { WritesState } from '../../../src/domain/stage.ts';
import { defineService } from '../../../src/domain/service-definition.ts';
import { createEvents } from '../../../src/engine/ports/events.ts';
import type { LaneCounts } from '../../../src/engine/ports/journal-facts.ts';
import type { StoredDifference } from '../../../src/engine/compare/comparison-stores.ts';
import type { ServiceRuntime } from '../../../src/engine/ports/service-runtime.ts';
import { registerOperatorRoutes, type OperatorParts } from '../../../src/operator/routes/routes.ts';
import { createStatistics } from '../../../src/operator/statistics.ts';
import { createStatusReader } from '../../../src/operator/status.ts';
import { createMetrics } from '../../../src/telemetry/metrics.ts';
import { freePort } from '../../support/ports.ts';

export const SERVICE = serviceName('session-memory');
export const LANE = 'session-memory/owner-4711' as LaneKey;
export const OPERATION = operationId('0d9b0c9e-0000-7000-8000-000000000001');
export const OF_OPERATION = { operationId: OPERATION, service: SERVICE, action: 'get_context' };

const definition = defineService({
  name: SERVICE,
  endpoint: { kind: 'zmq', port: 5_555 },
  dialect: { error: () => '{}' },
  actions: {
    get_context: {
      kind: 'read',
      owner: () => undefined,
      onLegacy: () => 'nothing',
      legacyOnly: 'it lives in the process',
    },
    stats: { kind: 'passthrough', reason: 'about the process' },
    embed: {
      kind: 'write',
      owner: () => undefined,
      outcome: () => 'unknown',
      toOrchestrator: () => [],
      reverse: 'lossy',
      loses: 'the vector',
    },
  },
  lanes: {
    sessionPrefix: '',
    retention: {},
    owners: () => Promise.resolve([]),
    readLegacy: () => Promise.resolve({ exists: false, items: [] }),
    createPayload: () => ({}),
    fieldsOf: () => undefined,
  },
  probe: '{}',
  unmapped: [{ what: 'embeddings', reason: 'made anew' }],
});

const RUNTIME: ServiceRuntime = {
  name: SERVICE,
  definition,
  context: { timeZone: 'UTC' },
  legacy: {
    send: () => Promise.reject(new Error('not called')),
    load: () => ({ inFlight: 0, queued: 0, isConnected: true, breaker: 'closed' }),
  },
  access: {},
  deadlineMs: 4_500,
};

const COUNTS: LaneCounts = {
  lanes: 10,
  flipped: 0,
  legacyDiffers: 0,
  seeded: 7,
  dirty: 2,
  copying: 1,
  stopped: 1,
  excepted: 1,
  differs: 0,
  deadLetters: 3,
  unknown: 4,
  lostItems: 5,
  restored: 0,
};

/** What a test changes between requests. */
export interface World {
  readonly percentages: Partial<Record<ServiceFlag, number>>;
  readonly isKilled: boolean;
  readonly coverage: number;
  readonly isDatabaseAway: boolean;
  readonly writes: WritesState;
  readonly readiness: Awaited<ReturnType<OperatorParts['readiness']>>;
}

export const QUIET_WORLD: World = {
  percentages: {},
  isKilled: false,
  coverage: 0,
  isDatabaseAway: false,
  writes: 'open',
  readiness: { journal: { ok: true }, flags: { ok: true } },
};

export const DIFFERENCE: StoredDifference = {
  ...OF_OPERATION,
  lane: LANE,
  primary: 'legacy',
  comparison: {
    verdict: 'mismatch',
    suppressed: 2,
    differences: [
      { path: 'context[].content', class: 'value', legacy: 'string(3)#a', orchestrator: 'string(4)#b' },
    ],
  },
  atMs: Date.UTC(2026, 0, 2),
};

/** The routes on a real port, in front of a world that a test changes. */
export class OperatorServer {
  readonly events = createEvents();
  /** Limits that the differences were asked with. */
  readonly limits: number[] = [];
  world = QUIET_WORLD;
  readonly #app = fastify();
  #origin = '';

  async start(): Promise<void> {
    const status = this.#statusReader();
    const metrics = this.#metrics();
    registerOperatorRoutes(this.#app, {
      version: '0.0.0-test',
      status: () => status.read(),
      metrics: () => metrics.render(),
      readiness: () => Promise.resolve(this.world.readiness),
      services: [SERVICE],
      differences: (_service, { limit }) => {
        this.limits.push(limit);
        return Promise.resolve([DIFFERENCE]);
      },
    });
    this.#app.addHook('onClose', () => metrics.stop());
    this.#origin = await this.#app.listen({ port: await freePort(), host: '127.0.0.1' });
  }

  async stop(): Promise<void> {
    await this.#app.close();
  }

  /** Back to what it was before a test. Events stay said. */
  reset(): void {
    this.world = QUIET_WORLD;
    this.limits.length = 0;
  }

  async ask(path: string): Promise<{ status: number; type: string | null; body: string }> {
    const response = await fetch(`${this.#origin}${path}`);
    return {
      status: response.status,
      type: response.headers.get('content-type'),
      body: await response.text(),
    };
  }

  async status(): Promise<Status> {
    return JSON.parse((await this.ask('/v1/status')).body) as Status;
  }

  async service(): Promise<Status['services'][number]> {
    const [found] = (await this.status()).services;
    if (found === undefined) throw new Error('the status shows no service');
    return found;
  }

  #counts(): Promise<LaneCounts> {
    const away = new StorageError('the database does not answer', { effect: 'not_applied' });
    return this.world.isDatabaseAway ? Promise.reject(away) : Promise.resolve(COUNTS);
  }

  #metrics() {
    const metrics = createMetrics({
      spill: () => undefined,
      gauges: async () => ({
        pendingDeliveries: 4,
        copiesWaiting: 5,
        shadowReadsWaiting: 6,
        lanes: new Map([[SERVICE, await this.#counts()]]),
      }),
      ab: () => [],
      reports: () => ({ lastMadeAtMs: 1_767_315_600_000, failedDeliveries: new Map([['webhook', 2]]) }),
      flags: () => ({
        fresh: false,
        ageMs: 2_500,
        requests: [{ api: 'client', result: 'unauthorized', total: 3 }],
      }),
    });
    this.events.subscribe(metrics.listener);
    return metrics;
  }

  #statusReader() {
    const statistics = createStatistics([SERVICE]);
    this.events.subscribe(statistics.listener);
    return createStatusReader({
      statistics,
      arms: new Arms(systemClock),
      flags: {
        isEnabled: () => ({ enabled: false, reason: 'off' }),
        killSwitch: () => this.world.isKilled,
        percentage: (flag) => this.world.percentages[flag] ?? 0,
        version: () => 1,
        onChange: () => undefined,
        describe: () => ({ source: 'file', fresh: false, lastError: 'unleash answered 401' }),
      },
      journal: { counts: () => this.#counts() },
      lagOf: () => Promise.resolve({ writes: 8, lanes: 3, oldestSeconds: 12.345 }),
      reverseOf: () =>
        Promise.resolve({
          lanes: 2,
          waitingLanes: 1,
          waitingWrites: 3,
          oldestSeconds: 4.56,
          haltedLanes: 1,
          lostWaysBack: 0,
          skippedWrites: 0,
        }),
      migration: {
        backlog: () => ({ deliveries: 4, copies: 5, listings: 0, shadowReads: 6 }),
        pendingOf: () => 0,
        coverageOf: () => this.world.coverage,
        spillStatus: () => undefined,
        replicas: () => ({ live: 1, silent: 0 }),
      },
      services: new Map([[SERVICE, RUNTIME]]),
      clock: { now: () => performance.now(), wallMs: () => Date.now(), sleep: () => Promise.resolve() },
      readiness: () => Promise.resolve(this.world.readiness),
      facts: { version: '0.1.0', journal: 'pglite', encrypted: true, lanePercentage: 2.5 },
      writesStateOf: () => this.world.writes,
      interlocks: new Map([[SERVICE, 'enforce']]),
    });
  }
}
