import type { ReplicaId, ServiceName } from '../../domain/ids.ts';
import type { ArmSlice } from '../evidence/arm-ports.ts';
import type { GuardCounts } from '../guard/guard-counts.ts';
import type { RunKind, RunRequest } from '../ports/run.ts';

/** Both ends of a day, milliseconds since 1970; `toMs` belongs to the next one. */
export interface DaySpan {
  readonly fromMs: number;
  readonly toMs: number;
}

/** What was counted of an action in one hour of a day, by all replicas. */
export interface HourCounts {
  readonly action: string;
  /** Hours since the day began: a day has 23, 24 or 25. */
  readonly hour: number;
  readonly counts: GuardCounts;
}

/** A run that ended, and what it counted of one service. */
export interface EndedRun {
  readonly id: number;
  readonly kind: RunKind;
  readonly scope: NonNullable<RunRequest['scope']>;
  readonly finishedAtMs: number;
  readonly counts: Readonly<Record<string, number>>;
}

export interface DayTrip {
  readonly latch: number;
  readonly trigger: string;
  readonly action: string | null;
  readonly trippedAtMs: number;
  readonly releasedAtMs: number | null;
}

/** One entry of the audit. */
export interface DayEvent {
  readonly atMs: number;
  readonly person: string;
  readonly command: string;
  readonly reason: string;
  readonly details: Readonly<Record<string, unknown>>;
}

/** A lane that a reconciliation found unequal and that is not repaired. */
export interface DifferingLane {
  readonly owner: string;
  readonly run: number;
  readonly state: string;
}

/** What the journal's database says of one service: of a day, and of the moment it is asked. No content; owners only of lanes that differ. */
export interface ServiceDay {
  readonly hours: readonly HourCounts[];
  /** What lanes that read from either backend saw, of all replicas. Empty where the day is more than eight days ago. */
  readonly arms: readonly Pick<ArmSlice, 'action' | 'counts'>[];
  readonly letters: {
    readonly open: number;
    /** Lanes that wait behind them. */
    readonly lanes: number;
    readonly added: number;
    readonly redriven: number;
    readonly skipped: number;
    readonly copied: number;
  };
  readonly unknown: { readonly open: number; readonly found: number; readonly closed: number };
  /** Signatures that are kept, and those of them first seen on the day. */
  readonly signatures: { readonly known: number; readonly fresh: number };
  /** Writes that legacy has and the orchestrator has not, of lanes that are well. */
  readonly backlog: { readonly writes: number; readonly oldestSeconds: number };
  /** Why lanes are not clean. */
  readonly unwell: readonly { readonly condition: string; readonly reason: string; readonly lanes: number }[];
  /** Lanes whose writes have moved. */
  readonly lanesOnOrchestrator: number;
  readonly coverage: { readonly beganAtMs: number | null; readonly endedInDay: number };
  /** The newest full reconciliation that was finished, of every owner. */
  readonly lastFull: EndedRun | null;
  /** Backfills, reconciliations and repairs that ended in the day, oldest first. */
  readonly runs: readonly EndedRun[];
  /** Unequal lanes: found in the day, by what became of them, and those that are open now. */
  readonly divergences: Readonly<
    Record<'open' | 'found' | 'repaired' | 'gone' | 'undone' | 'foundLost', number>
  > & {
    /** The newest run that found any of the open ones; null where none is open. */
    readonly run: number | null;
  };
  readonly lost: { readonly open: number; readonly found: number; readonly decided: number };
  /** Lanes that repairs changed in the day, and those that were put back. */
  readonly repairs: { readonly lanes: number; readonly undone: number };
  readonly trips: readonly DayTrip[];
  /** What people, and the guard, changed in the day, by command. */
  readonly audited: readonly { readonly command: string; readonly count: number }[];
  /** The first 50 of the day, oldest first. */
  readonly events: readonly DayEvent[];
  /** The first 20, those found last first. */
  readonly differing: readonly DifferingLane[];
}

/** @throws StorageError */
export interface ReportFactStore {
  of(service: ServiceName, day: DaySpan): Promise<ServiceDay>;
  /** When this journal was first set up: no report is owed of the days before. */
  installedAtMs(): Promise<number>;
}

export const REPORT_FORMATS = ['html', 'md', 'json'] as const;

export type ReportFormat = (typeof REPORT_FORMATS)[number];

/** A stored report as lists show it. */
export interface ReportHead {
  /** Its day, `YYYY-MM-DD`. */
  readonly date: string;
  readonly madeAtMs: number;
  /** Criteria of the services' present phases that fail. */
  readonly failedCriteria: number;
}

export interface MadeReport {
  readonly date: string;
  readonly failedCriteria: number;
  readonly texts: Readonly<Record<ReportFormat, string>>;
  /** Running totals by name, for the changes that the next report shows. */
  readonly totals: Readonly<Record<string, number>>;
  /** Those that it covers. */
  readonly services: readonly string[];
  /** No other proxy serves a service that it lacks. */
  readonly isWhole: boolean;
}

/** Where a report is taken: `webhook`, `folder`. */
export type ReportTarget = 'webhook' | 'folder';

/** A report on its way to a target, claimed by this replica. */
export interface ReportDelivery {
  readonly date: string;
  readonly target: ReportTarget;
  /** How often it has failed. */
  readonly failures: number;
  readonly replica: ReplicaId;
}

/** Made reports, and those being made: one replica makes each, and takes it to each target. @throws StorageError */
export interface ReportStore {
  /** True for one replica at a time, as long as it lives, and never once the report covers these services. */
  claim(date: string, replica: ReplicaId, services: readonly ServiceName[]): Promise<boolean>;
  /** Gives a claim back: making it failed. */
  release(date: string, replica: ReplicaId): Promise<void>;
  /** Stores what its claimer made, in place of what was there, and what is to be taken where, again where it has been taken; false where another replica has the claim meanwhile. */
  put(report: MadeReport, replica: ReplicaId, targets: readonly ReportTarget[]): Promise<boolean>;
  /** The given days that already have a report about all the given services. */
  made(dates: readonly string[], services: readonly ServiceName[]): Promise<ReadonlySet<string>>;
  /** Services of other live replicas, by name. */
  servedElsewhere(services: readonly ServiceName[]): Promise<readonly ServiceName[]>;
  /** Newest day first. */
  list(limit: number): Promise<readonly ReportHead[]>;
  read(date: string, format: ReportFormat): Promise<string | undefined>;
  /** Running totals of the report of a day. */
  totals(date: string): Promise<Readonly<Record<string, number>> | undefined>;
  /** The oldest delivery that is due and that no replica which lives has claimed. */
  claimDelivery(replica: ReplicaId, targets: readonly ReportTarget[]): Promise<ReportDelivery | undefined>;
  delivered(delivery: ReportDelivery): Promise<void>;
  /** It is tried again after so long; null: given up. `problem`: in words without an address. */
  failed(delivery: ReportDelivery, problem: string, retryMs: number | null): Promise<void>;
  /** Deletes the reports of the days before. */
  prune(firstKept: string): Promise<void>;
}
