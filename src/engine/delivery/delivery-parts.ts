import type { ServiceName } from '../../domain/ids.ts';
import type { Emit } from '../ports/events.ts';
import type { Lane } from '../lane/lane.ts';
import type { Clock } from '../../shared/clock.ts';
import type { Journal, Orchestrator } from '../ports/ports.ts';
import type { Coverage, ServiceRuntime } from '../ports/service-runtime.ts';

export interface DeliveryParts {
  readonly journal: Journal;
  readonly orchestrator: Orchestrator;
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
  /** Called when the journal has confirmed the lane's delivery position. A crash of the database may lose it. */
  readonly onRecorded: (lane: Lane) => void;
  /** A delivery that was read back differs from what was sent. The lane must be copied. */
  readonly onAltered: (lane: Lane) => void;
  /** The secondary knows of a copy of the lane that this replica does not know. @throws StorageError */
  readonly onOvertaken: (lane: Lane) => Promise<void>;
  /** The item that a write named is unknown, or is not on the secondary. The lane must be copied. */
  readonly onUnnamed: (lane: Lane) => void;
}
