import type { Config } from '../config/schema.ts';
import type { ServiceName } from '../domain/ids.ts';
import type { Migration } from '../engine/migration.ts';
import type { Clock } from '../shared/clock.ts';
import type { Flags, Orchestrator } from '../engine/ports/ports.ts';
import type { ServiceRuntime } from '../engine/ports/service-runtime.ts';
import { explain } from '../operator/explain.ts';
import type { GuardRouteParts } from '../operator/routes/guard-routes.ts';
import type { GuardSource } from '../operator/guard-status.ts';
import type { Guarding } from './guard.ts';
import type { Database } from '../storage/database.ts';
import { createExplainStore } from '../storage/explain.ts';

export interface GuardRouteFacts {
  readonly config: Config;
  readonly guarding: Guarding;
  readonly services: ReadonlyMap<ServiceName, ServiceRuntime>;
  readonly database: Database;
  readonly flags: Flags;
  readonly orchestrator: Orchestrator;
  readonly migration: Pick<Migration, 'coverageOf'>;
  readonly clock: Clock;
}

/** What status and explanations say of latches, findings and interlocks. */
export function guardSourceOf({ board, watch, interlocks, flagsAfterTrip }: Guarding): GuardSource {
  return {
    judged: (service) => interlocks.judged(service),
    holdOf: (service) => board.holdOf(service),
    findingsOf: (service) => watch.findingsOf(service),
    shadowDroppedFor(service) {
      if (!board.has(service, 'drop_shadow_load')) return [];
      const found = watch.findingsOf(service).filter(({ steps }) => steps.includes('drop_shadow_load'));
      return [...new Set(found.map(({ trigger }) => trigger))];
    },
    flagsOffOf: (service) => flagsAfterTrip.stateOf(service),
  };
}

/** What people can ask and do about the guard. */
export function guardRoutesOf(facts: GuardRouteFacts): GuardRouteParts {
  const { config, guarding, services, clock, migration } = facts;
  const { watch, interlocks, interlockStore, audit, minutes } = guarding;
  const { signalToken } = config.guard;
  const source = guardSourceOf(guarding);
  const explained = {
    ...facts,
    store: createExplainStore(facts.database),
    limits: interlocks,
    guarding: source,
    coverageOf: (service: ServiceName) => migration.coverageOf(service),
  };
  return {
    services: [...services.keys()],
    guarding: source,
    movableActions: (service) => movableActions(services.get(service)),
    levelsOf: (service) => watch.levelsOf(service),
    release: ({ service, ...by }) => watch.release(service, by),
    async accept(acceptance) {
      await interlockStore.accept(acceptance);
      await interlocks.refresh(acceptance.service);
    },
    async signal({ service, person, reason }) {
      await audit.add({ person, command: 'guard signal', service, reason, details: {} });
      await watch.signal(service, reason);
    },
    ...(signalToken !== undefined && { signalToken }),
    minutes: (fromMs) => minutes.since(fromMs),
    async explain(name, subject) {
      const service = services.get(name);
      if (service === undefined) throw new Error(`unknown service "${name}"`);
      return explain(explained, service, subject);
    },
    nowMs: () => clock.wallMs(),
  };
}

function movableActions(service: ServiceRuntime | undefined): readonly string[] {
  return Object.entries(service?.definition.actions ?? {}).flatMap(([name, action]) =>
    action.kind === 'read' && action.legacyOnly === undefined ? [name] : [],
  );
}
