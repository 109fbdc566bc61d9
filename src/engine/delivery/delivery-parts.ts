import type { ServiceName } from '../../domain/ids.ts';
import type { Emit } from '../ports/events.ts';
import type { Lane } from '../lane/lane.ts';
import type { Clock, Journal, Orchestrator } from '../ports/ports.ts';
import type { Coverage, ServiceRuntime } from '../ports/service-runtime.ts';

export interface DeliveryParts {
  readonly journal: Journal;
  readonly orchestrator: Orchestrator;
  readonly services: ReadonlyMap<ServiceName, ServiceRuntime>;
  readonly coverage: ReadonlyMap<ServiceName, Coverage>;
  readonly clock: Clock;
  readonly emit: Emit;
  /** Operations of one batch. @defaultValue 200 */
  readonly batchSize: number;
  readonly timeoutMs: number;
  /** 0 up to 1; spreads the retries of several replicas. */
  readonly random: () => number;
  /** Whether no other replica writes: then memory knows every write of a lane, else the journal does. */
  readonly isAlone: () => boolean;
  /** The journal has answered that it knows how far the lane's deliveries have come: a database that falls may forget it. */
  readonly onRecorded: (lane: Lane) => void;
  /** A delivery was read back and is not what was sent: the lane must be copied. */
  readonly onAltered: (lane: Lane) => void;
  /** The secondary knows of a copy of the lane that this replica does not. @throws StorageError */
  readonly onOvertaken: (lane: Lane) => Promise<void>;
  /** What a write named is not known, or is not on the secondary: the lane must be copied. */
  readonly onUnnamed: (lane: Lane) => void;
}
