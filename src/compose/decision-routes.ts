import type { Config } from '../config/schema.ts';
import type { ServiceName } from '../domain/ids.ts';
import type { DeadLetterStore, UnknownLedger } from '../engine/ports/decision-ports.ts';
import type { Migration } from '../engine/migration.ts';
import type { Clock } from '../shared/clock.ts';
import type { ServiceRuntime } from '../engine/ports/service-runtime.ts';
import type { DecisionRouteParts } from '../operator/routes/decision-routes.ts';
import type { LaneRouteParts } from '../operator/routes/lane-routes.ts';
import { OperatorAccess } from '../operator/operator-access.ts';
import type { Guarding } from './guard.ts';
import type { Database } from '../storage/database.ts';
import { createLaneList } from '../storage/lane-list.ts';

export interface DecisionFacts {
  readonly services: ReadonlyMap<ServiceName, ServiceRuntime>;
  readonly letters: DeadLetterStore;
  readonly unknowns: UnknownLedger;
  readonly migration: Pick<Migration, 'laneDesk'>;
  readonly guarding: Pick<Guarding, 'audit'>;
  readonly clock: Clock;
}

/** Who may ask, and change what. */
export function accessOf({ operator }: Config): OperatorAccess {
  return new OperatorAccess(Object.entries(operator.tokens).map(([name, token]) => ({ name, ...token })));
}

/** What people can do about dead letters and unknown outcomes. */
export function decisionRoutesOf(facts: DecisionFacts): DecisionRouteParts {
  const { services, letters, unknowns, migration, guarding, clock } = facts;
  return {
    services: [...services.keys()],
    letters,
    unknowns,
    desk: migration.laneDesk,
    audit: guarding.audit,
    nowMs: () => clock.wallMs(),
  };
}

/** What people can look for and do about lanes. */
export function laneRoutesOf(
  facts: Pick<DecisionFacts, 'services' | 'migration' | 'guarding'> & { readonly database: Database },
): LaneRouteParts {
  const { services, migration, guarding, database } = facts;
  return {
    services: [...services.keys()],
    list: createLaneList(database),
    desk: migration.laneDesk,
    audit: guarding.audit,
  };
}
