import type { ServiceFlag } from '../../domain/flags.ts';
import type { Confidence, Traffic } from '../evidence/confidence.ts';
import type { StoreFindings } from '../ports/finding.ts';
import type { ServiceName } from '../../domain/ids.ts';

/** `enforce` lowers what a flag permits while it would be unsafe. `warn` only reports it. */
export type InterlockMode = 'enforce' | 'warn' | 'off';

/** The evidence of one action of a service. */
export interface ActionFacts {
  readonly confidence: Confidence;
  /** A person accepted it by name, so it moves without evidence. */
  readonly isAccepted: boolean;
}

/** Facts of the move of writes. */
export interface WriteFacts {
  /** Comparisons since read-cutover reached 100 %. */
  readonly comparableSinceFull: number;
  readonly comparableNeeded: number;
  /** Since read-cutover reached 100 %; null while it has not. */
  readonly fullForSeconds: number | null;
  readonly soakSeconds: number;
  /** A write was lately sent to legacy and read back there. */
  readonly isReverseProven: boolean;
  /** A person lets one lane go first, whose writes prove the way back. */
  readonly isFirstLaneNamed: boolean;
  /** Write actions whose effect legacy could not get afterwards, or that only legacy can answer. */
  readonly openRollbacks: number;
}

/** Facts of the end of a service's migration. */
export interface EndFacts {
  readonly lanesNotFlipped: number;
  /** Writes that legacy should have had seconds ago. */
  readonly reverseBacklog: number;
  /** Time since a writer that bypasses the proxy was last seen; null if none ever was. */
  readonly bypassedAgoSeconds: number | null;
  /** `readOnly.bypassFreeSeconds`. */
  readonly bypassFreeSeconds: number;
}

/** Everything by which the interlocks of one service are judged. A plain value: printed, stored, tested without I/O. */
export interface InterlockFacts {
  readonly mode: InterlockMode;
  /** Requested percent of each flag. */
  readonly asked: Readonly<Record<ServiceFlag, number>>;
  /** Whether each backend answered its last end-to-end probe. */
  readonly answers: { readonly legacy: boolean; readonly orchestrator: boolean };
  readonly coverage: {
    /** Number of the open coverage; 0 while there is none. */
    readonly number: number;
    /** Live replicas, and those that use this number. */
    readonly replicas: number;
    readonly acting: number;
  };
  /** Different versions with which the registered replicas answer writes of flipped lanes. */
  readonly versions: number;
  readonly lanes: {
    readonly total: number;
    /**
     * Lanes in the journal that are not seeded under the present coverage. It also counts if the owners were not all listed yet.
     */
    readonly unseeded: number;
    readonly isBackfillListed: boolean;
    /** Dirty, stopped, or with an open exception. */
    readonly unwell: number;
    /** Lanes whose primary is the orchestrator. No trip moves them. */
    readonly flipped: number;
  };
  /** Age of the oldest undelivered write of a healthy lane; 0 if none waits. */
  readonly oldestDeliverySeconds: number;
  /** Requests of the last 24 h whose action the definition does not know, and whether a person accepted that. */
  readonly unclassified: { readonly requests: number; readonly isAccepted: boolean };
  /** Time since the last full reconciliation; null if there was none. */
  readonly reconciledAgoSeconds: number | null;
  /** Open findings of reconciliations, and the size of the last full one. */
  readonly stores: StoreFindings;
  /** p95 of the latency that the proxy added in the last five minutes, milliseconds; null without operations. */
  readonly addedP95Ms: number | null;
  readonly isRampHeld: boolean;
  /** The trigger of the latch, if one is set. */
  readonly latch: string | null;
  readonly isKilled: boolean;
  /** Every action that the orchestrator can answer. */
  readonly actions: Readonly<Record<string, ActionFacts>>;
  readonly writes: WriteFacts;
  readonly ends: EndFacts;
}

/** What the journal knows of a service, for its interlocks. */
export interface JournalFacts {
  /** Live replicas, and those that use the given coverage. */
  readonly replicas: number;
  readonly acting: number;
  /** Different versions of the registered replicas, also of silent ones. */
  readonly versions: number;
  readonly lanes: number;
  /** Lanes not seeded under the given coverage. */
  readonly unseeded: number;
  /** Dirty, copying, stopped, or with an open exception. */
  readonly unwell: number;
  /** Lanes whose primary is the orchestrator. They are none of the lanes that are not seeded. */
  readonly flipped: number;
  readonly oldestDeliverySeconds: number;
  /** Requests of the last 24 h whose action the definition does not know. */
  readonly unclassified: number;
  /** Time since the last full reconciliation; null if there was none. */
  readonly reconciledAgoSeconds: number | null;
  readonly stores: StoreFindings;
  readonly ends: Omit<EndFacts, 'bypassFreeSeconds'>;
  /** A backfill that a person started has listed all owners since the present coverage began. */
  readonly isBackfillRun: boolean;
  /**
   * Comparisons of each action's own answers, and of whole lanes, per day. The rate is that of the last 24 h, or of the time
   * in use.
   */
  readonly traffic: ReadonlyMap<string, Omit<Traffic, 'lanesPerDay'>>;
  readonly lanesPerDay: number;
}

/** Since when all reads have moved, and what was compared since. */
export interface FullReads {
  readonly seconds: number;
  /** Of the last 7 days. */
  readonly comparable: number;
}

export interface GrantRow {
  readonly flag: ServiceFlag;
  /** Empty for a flag as a whole. */
  readonly action: string;
  readonly percentage: number;
}

/** A subject that a person can accept by name: `action:<name>`, or `unclassified`. */
interface Acceptance {
  readonly service: ServiceName;
  readonly subject: string;
  readonly person: string;
  readonly reason: string;
}

/** @throws StorageError */
export interface InterlockStore {
  facts(service: ServiceName, coverage: number): Promise<JournalFacts>;
  /** Undefined while not all reads have moved. */
  fullReads(service: ServiceName): Promise<FullReads | undefined>;
  grants(service: ServiceName): Promise<readonly GrantRow[]>;
  grant(service: ServiceName, rows: readonly GrantRow[]): Promise<void>;
  /** Subjects that a person has accepted. */
  accepted(service: ServiceName): Promise<ReadonlySet<string>>;
  /** Audited. */
  accept(acceptance: Acceptance): Promise<void>;
}
