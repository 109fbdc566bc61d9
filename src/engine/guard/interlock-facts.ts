import type { ServiceFlag } from '../../domain/flags.ts';
import type { Confidence } from '../evidence/confidence.ts';
import type { StoreFindings } from '../ports/store-findings.ts';

/** `enforce` lowers what a flag permits while it would be unsafe, `warn` only says so. */
export type InterlockMode = 'enforce' | 'warn' | 'off';

/** What one action of a service has shown. */
export interface ActionFacts {
  readonly confidence: Confidence;
  /** A person answers for it by name: it moves without evidence. */
  readonly isAccepted: boolean;
}

/** The way back, once writes move. Absent until the engine can move writes. */
export interface WriteFacts {
  /** Comparisons since read-cutover reached 100 %. */
  readonly comparableSinceFull: number;
  /** Since read-cutover reached 100 %; null while it has not. */
  readonly fullForSeconds: number | null;
  readonly soakSeconds: number;
  readonly isReverseProven: boolean;
  /** Writes that legacy could not hold and nobody has accepted. */
  readonly openRollbacks: number;
  readonly lanesNotFlipped: number;
  readonly reverseBacklog: number;
  /** Since a writer was last seen that bypasses the proxy; null where none ever was. */
  readonly bypassedAgoSeconds: number | null;
}

/** Everything interlocks are judged by, of one service. A plain value: printed, stored, tested without I/O. */
export interface InterlockFacts {
  readonly mode: InterlockMode;
  /** Percent each flag asks for. */
  readonly asked: Readonly<Record<ServiceFlag, number>>;
  /** Whether each backend answered its last end-to-end probe. */
  readonly answers: { readonly legacy: boolean; readonly orchestrator: boolean };
  readonly coverage: {
    /** Number of the open coverage; 0 while there is none. */
    readonly number: number;
    /** Live replicas, and those that act on this number. */
    readonly replicas: number;
    readonly acting: number;
  };
  readonly lanes: {
    readonly total: number;
    /** Known to the journal and not seeded under the present coverage, or the owners were not all listed yet. */
    readonly unseeded: number;
    readonly isBackfillListed: boolean;
    /** Dirty, stopped, or with an open exception. */
    readonly unwell: number;
  };
  /** Age of the oldest write that a healthy lane has not delivered; 0 where none waits. */
  readonly oldestDeliverySeconds: number;
  /** Requests of the last 24 h whose action no definition knows, and whether a person accepted that. */
  readonly unclassified: { readonly requests: number; readonly isAccepted: boolean };
  /** Since the last full reconciliation; null where there was none. */
  readonly reconciledAgoSeconds: number | null;
  /** What reconciliations found that is neither repaired nor accepted, and the size of the last full one. */
  readonly stores: StoreFindings;
  /** p95 of what the proxy added in the last five minutes, milliseconds; null without operations. */
  readonly addedP95Ms: number | null;
  readonly isRampHeld: boolean;
  /** What tripped, where a latch is set. */
  readonly latch: string | null;
  readonly isKilled: boolean;
  /** Every action that the orchestrator could answer. */
  readonly actions: Readonly<Record<string, ActionFacts>>;
  readonly writes?: WriteFacts;
}
