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
  /** From receiving a request to its reply. Below the agents' own 5 s. @defaultValue 4500 */
  readonly deadlineMs: number;
}

/** Of a process that has started while the journal was away: every write is taken to be covered, until it is known. */
export const UNKNOWN_COVERAGE = -1;

/** Whether dual writes of a service are in effect. Kept by the coverage keeper, read by every operation. */
export class Coverage {
  /** Number of the open coverage row; 0 while writes pass unjournaled. */
  number = 0;
  /** Number of the newest row this replica has acted on, open or ended. */
  latest = 0;
  /** Writes under way that no journal knows of: the first copies wait for them. */
  unjournaled = 0;
}
