import type { ServiceName } from '../domain/ids.ts';
import { createCallLegacy } from './calls/call-legacy.ts';
import type { CoverageKeeper } from './coverage/coverage-keeper.ts';
import type { Membership } from './replicas/membership.ts';
import type { Emit } from './ports/events.ts';
import type { Clock } from '../shared/clock.ts';
import type { CoverageStore } from './ports/ports.ts';
import type { ReplicaIdentity } from './ports/replica-ports.ts';
import type { Coverage, ServiceRuntime } from './ports/service-runtime.ts';
import type { Settlements } from './writes/settlements.ts';
import type { Settler } from './writes/settle.ts';
import type { TakeOver } from './replicas/take-over.ts';
import { Outage } from './spill/outage.ts';
import { SpillPath } from './spill/spill-path.ts';
import { Spill, type SpillEdges } from './spill/spill.ts';

export interface SpillWiring {
  readonly edges: SpillEdges;
  readonly replica: ReplicaIdentity;
  readonly services: ReadonlyMap<ServiceName, ServiceRuntime>;
  readonly coverageStore: CoverageStore;
  readonly coverage: ReadonlyMap<ServiceName, Coverage>;
  readonly settlements: Settlements;
  readonly clock: Clock;
  readonly emit: Emit;
  /** Called after everything is created. */
  readonly membership: () => Pick<Membership, 'claimedAtMs' | 'isOnlyOne'>;
  readonly keeper: () => Pick<CoverageKeeper, 'beatNow'>;
  readonly settler: () => Pick<Settler, 'settle' | 'isShut' | 'gate'>;
  readonly takeOver: () => Pick<TakeOver, 'spilled' | 'recover' | 'changed'>;
}

/** Creates the parts that concern the spill of one replica. */
export interface Spilling {
  readonly outage: Outage;
  readonly path: SpillPath;
  readonly spill: Spill;
}

export function createSpilling(wiring: SpillWiring): Spilling {
  const { edges, clock, emit, membership, keeper, settler, takeOver } = wiring;
  const outage = new Outage({
    clock,
    emit,
    claimedAtMs: () => membership().claimedAtMs,
    isAlone: () => membership().isOnlyOne,
    beatNow: () => keeper().beatNow(),
  });
  const path = new SpillPath({
    ...wiring,
    ...edges,
    outage,
    identity: wiring.replica,
    callLegacy: createCallLegacy(clock, emit),
    settle: (lane, { service }) => void settler().settle(lane, service),
    isShut: ({ service }) => settler().isShut(service.name),
    gate: ({ service, deadlineAtMs }) => settler().gate(service.name, deadlineAtMs),
  });
  const spill = new Spill({
    ...wiring,
    ...edges,
    outage,
    path,
    onReplayed: (lane, replayed) => takeOver().spilled(lane, replayed),
    recover: () => takeOver().recover(),
  });
  return { outage, path, spill };
}
