import type { CallLegacy } from '../calls/call-legacy.ts';
import type { CopyCause, Emit } from '../ports/events.ts';
import type { Lane } from '../lane/lane.ts';
import type { Lanes } from '../lane/lanes.ts';
import type { LateReplies } from '../writes/late-reply.ts';
import type { OwnedOperation } from '../ports/operation.ts';
import type { Clock, PendingWrite } from '../ports/ports.ts';
import type { Sequencer } from '../writes/sequence-write.ts';
import type { Coverage } from '../ports/service-runtime.ts';
import type { Repeats } from '../writes/repeats.ts';
import type { Settlements } from '../writes/settlements.ts';
import type { Settling } from '../writes/settle.ts';
import type { SpillPath } from '../spill/spill-path.ts';
import type { Unjournaled } from '../coverage/unjournaled.ts';

export interface WriteParts {
  readonly sequencer: Sequencer;
  /** Where writes go while the journal is away. Absent: they are refused. */
  readonly spill?: SpillPath | undefined;
  readonly settlements: Settlements;
  readonly lateReplies: LateReplies;
  readonly lanes: Lanes;
  readonly callLegacy: CallLegacy;
  readonly clock: Clock;
  readonly emit: Emit;
  readonly coverage: ReadonlyMap<string, Coverage>;
  readonly unjournaled: Unjournaled;
  readonly repeats: Repeats;
  /** Whether no other replica writes. */
  isAlone(): boolean;
  /** An applied write waits for delivery. Takes it over at once and never throws. */
  deliver(lane: Lane, write: PendingWrite): void;
  /** An applied write waits for delivery by the lane's home, which is another replica. Never throws. */
  tellHome(lane: Lane): void;
  /** The outcome of a write of the lane is durable, or its durability is unknown. Never throws. */
  written(lane: Lane): void;
  /** The lane has no copy on the secondary yet, or its history is uncertain. It must be copied. */
  copySoon(lane: Lane, reason: CopyCause): void;
  /** The outcome of a write that was sent at this time is unknown (W7). Settles it in the background. */
  settle(lane: Lane, operation: OwnedOperation, sentAtMs: number): Settling;
  /** Its late reply has come, and a copy may have read before it took effect. The lane is settled again. */
  settleAnew(lane: Lane, operation: OwnedOperation, sentAtMs: number): void;
  /** Whether this replica may still send a write, because no other replica takes over its lanes. */
  mayAct(): boolean;
  /** Whether it knows what the others do. While it was paused, they may have begun to journal. */
  mayPass(): boolean;
  /** Resolves when the service may be written to: after an unknown outcome, only once it has answered its probes. */
  gate(operation: OwnedOperation): Promise<void>;
  /** Whether the service must not be written to now. */
  isShut(operation: OwnedOperation): boolean;
}
