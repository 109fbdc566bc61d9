import type { ServiceName } from '../../domain/ids.ts';
import type { LegacyAccess, ServiceContext, ServiceDefinition } from '../../domain/service-definition.ts';
import type { LegacyBackend } from './ports.ts';

/** A legacy service as this installation runs it. */
export interface ServiceRuntime {
  readonly name: ServiceName;
  readonly definition: ServiceDefinition;
  readonly context: ServiceContext;
  readonly legacy: LegacyBackend;
  readonly access: LegacyAccess;
  /** Time from receiving a request to its reply. Must be below the agents' own 5 s. @defaultValue 4500 */
  readonly deadlineMs: number;
}

/** For a process that started while the journal was away: every write is assumed to be covered until it is known. */
export const UNKNOWN_COVERAGE = -1;

/** Whether dual writes of a service are active. Set by the coverage keeper, read by every operation. */
export class Coverage {
  /** Number of the open coverage row; 0 while writes are not journaled. */
  number = 0;
  /** Number of the newest row that this replica has used, open or ended. */
  latest = 0;
  /** Unjournaled writes under way. The first copies wait for them. */
  unjournaled = 0;
  /** Whether copies may begin: no write is under way, in any replica, that the journal does not know. */
  mayCopy = false;
}
