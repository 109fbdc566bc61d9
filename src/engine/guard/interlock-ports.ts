import type { ServiceFlag } from '../../domain/flags.ts';
import type { ServiceName } from '../../domain/ids.ts';
import type { Traffic } from '../evidence/confidence.ts';
import type { StoreFindings } from '../ports/store-findings.ts';

/** What the journal knows of a service, for its interlocks. */
export interface JournalFacts {
  /** Live replicas, and those that use the given coverage. */
  readonly replicas: number;
  readonly acting: number;
  readonly lanes: number;
  /** Lanes not seeded under the given coverage. */
  readonly unseeded: number;
  /** Dirty, copying, stopped, or with an open exception. */
  readonly unwell: number;
  readonly oldestDeliverySeconds: number;
  /** Requests of the last 24 h whose action the definition does not know. */
  readonly unclassified: number;
  /** Time since the last full reconciliation; null if there was none. */
  readonly reconciledAgoSeconds: number | null;
  readonly stores: StoreFindings;
  /** A backfill that a person started has listed all owners since the present coverage began. */
  readonly isBackfillRun: boolean;
  /**
   * Comparisons per day at the rate of the last 24 h, or of the time in use: of each action's own answers, and of whole lanes.
   */
  readonly traffic: ReadonlyMap<string, Omit<Traffic, 'lanesPerDay'>>;
  readonly lanesPerDay: number;
}

export interface GrantRow {
  readonly flag: ServiceFlag;
  /** Empty for a flag as a whole. */
  readonly action: string;
  readonly percentage: number;
}

/** A subject that a person can accept by name: `action:<name>`, or `unclassified`. */
export interface Acceptance {
  readonly service: ServiceName;
  readonly subject: string;
  readonly person: string;
  readonly reason: string;
}

/** @throws StorageError */
export interface InterlockStore {
  facts(service: ServiceName, coverage: number): Promise<JournalFacts>;
  grants(service: ServiceName): Promise<readonly GrantRow[]>;
  grant(service: ServiceName, rows: readonly GrantRow[]): Promise<void>;
  /** Subjects that a person has accepted. */
  accepted(service: ServiceName): Promise<ReadonlySet<string>>;
  /** Audited. */
  accept(acceptance: Acceptance): Promise<void>;
}
