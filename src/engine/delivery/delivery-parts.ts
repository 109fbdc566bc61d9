import type { ServiceName } from '../../domain/ids.ts';
import type { Emit } from '../ports/events.ts';
import type { Clock } from '../../shared/clock.ts';
import type { Journal, Orchestrator } from '../ports/ports.ts';
import type { Coverage, ServiceRuntime } from '../ports/service-runtime.ts';
import type { Signals } from '../signals.ts';

export interface DeliveryParts {
  readonly journal: Pick<Journal, 'delivered' | 'deadLetter' | 'pending' | 'lanes'>;
  readonly orchestrator: Pick<Orchestrator, 'read' | 'batchWrite'>;
  readonly services: ReadonlyMap<ServiceName, ServiceRuntime>;
  readonly coverage: ReadonlyMap<ServiceName, Coverage>;
  readonly clock: Clock;
  readonly emit: Emit;
  /** Most operations per batch. @defaultValue 200 */
  readonly batchSize: number;
  readonly timeoutMs: number;
  /** A random number from 0 up to 1, which spreads the retries of several replicas. */
  readonly random: () => number;
  /** Whether no other replica writes. Then memory knows every write of a lane. Otherwise only the journal does. */
  readonly isAlone: () => boolean;
  readonly signals: Pick<Signals, 'note' | 'copyAnew' | 'overtaken'>;
}
