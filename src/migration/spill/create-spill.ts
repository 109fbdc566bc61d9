import type { ServiceName } from '../../domain/ids.ts';
import { createCallLegacy } from '../call-legacy.ts';
import type { CoverageKeeper } from '../lanes/coverage-keeper.ts';
import type { Membership } from '../replicas/membership.ts';
import type { Emit } from '../events.ts';
import type { Clock, CoverageStore } from '../ports.ts';
import type { ReplicaIdentity } from '../replicas/replica-identity.ts';
import type { Coverage, ServiceRuntime } from '../service-runtime.ts';
import type { Settlements } from '../settlements/settlements.ts';
import type { Settler } from '../settlements/settle.ts';
import type { TakeOver } from '../replicas/take-over.ts';
import { Outage } from './outage.ts';
import { SpillPath } from './spill-path.ts';
import { Spill, type SpillEdges } from './spill.ts';

export interface SpillWiring {
  readonly edges: SpillEdges;
  readonly replica: ReplicaIdentity;
  readonly services: ReadonlyMap<ServiceName, ServiceRuntime>;
  readonly coverageStore: CoverageStore;
  readonly coverage: ReadonlyMap<ServiceName, Coverage>;
  readonly settlements: Settlements;
  readonly clock: Clock;
  readonly emit: Emit;
  /** Asked for once everything is made. */
  readonly membership: () => Pick<Membership, 'claimedAtMs' | 'isOnlyOne'>;
  readonly keeper: () => Pick<CoverageKeeper, 'beatNow'>;
  readonly settler: () => Pick<Settler, 'settle' | 'isShut' | 'gate'>;
  readonly takeOver: () => Pick<TakeOver, 'spilled' | 'recover' | 'changed'>;
}

/** All that concerns the spill of one replica, joined. */
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
