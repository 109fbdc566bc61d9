import type { ServiceFlag } from '../../domain/flags.ts';
import type { ServiceName } from '../../domain/ids.ts';
import type { Traffic } from '../evidence/confidence.ts';
import type { StoreFindings } from '../ports/store-findings.ts';

/** What the journal says of a service, for its interlocks. */
export interface JournalFacts {
  /** Live replicas, and those that act on the coverage asked about. */
  readonly replicas: number;
  readonly acting: number;
  readonly lanes: number;
  /** Lanes not seeded under the coverage asked about. */
  readonly unseeded: number;
  /** Dirty, copying, stopped, or with an open exception. */
  readonly unwell: number;
  readonly oldestDeliverySeconds: number;
  /** Requests of the last 24 h whose action no definition knows. */
  readonly unclassified: number;
  /** Since the last full reconciliation; null where there was none. */
  readonly reconciledAgoSeconds: number | null;
  readonly stores: StoreFindings;
  /** All owners were listed by a backfill that a person asked for, since the present coverage began. */
  readonly isBackfillRun: boolean;
  /** Comparisons a day at the rate of the last 24 h, or since the service is in use: of each action's own answers, and of whole lanes. */
  readonly traffic: ReadonlyMap<string, Omit<Traffic, 'lanesPerDay'>>;
  readonly lanesPerDay: number;
}

export interface GrantRow {
  readonly flag: ServiceFlag;
  /** Empty for a flag as a whole. */
  readonly action: string;
  readonly percentage: number;
}

/** What a person answers for by name: `action:<name>`, or `unclassified`. */
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
