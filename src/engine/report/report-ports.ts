import type { ReplicaId, ServiceName } from '../../domain/ids.ts';
import type { ArmSlice } from '../evidence/arm-intervals.ts';
import type { GuardCounts } from '../guard/guard-counts.ts';
import type { RunKind, RunRequest } from '../ports/run.ts';

/** Both ends of a day, milliseconds since 1970. `toMs` is the start of the next day. */
export interface DaySpan {
  readonly fromMs: number;
  readonly toMs: number;
}

/** What all replicas counted of an action in one hour of a day. */
export interface HourCounts {
  readonly action: string;
  /** Hours since the start of the day, which has 23, 24 or 25 hours. */
  readonly hour: number;
  readonly counts: GuardCounts;
}

/** A finished run, and its counts for one service. */
export interface EndedRun {
  readonly id: number;
  readonly kind: RunKind;
  readonly scope: NonNullable<RunRequest['scope']>;
  readonly finishedAtMs: number;
  readonly counts: Readonly<Record<string, number>>;
}

interface DayTrip {
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

/** A lane with an open difference of a reconciliation. */
interface DifferingLane {
  readonly owner: string;
  readonly run: number;
  readonly state: string;
}

/**
 * What the journal's database holds of one service, for a day and for the present. No content. Owners only of lanes that differ.
 */
export interface ServiceDay {
  readonly hours: readonly HourCounts[];
  /** What lanes that read from either backend saw, over all replicas. Empty if the day is more than eight days ago. */
  readonly arms: readonly Pick<ArmSlice, 'action' | 'counts'>[];
  readonly letters: {
    readonly open: number;
    /** Lanes that wait at dead letters. */
    readonly lanes: number;
    readonly added: number;
    readonly redriven: number;
    readonly skipped: number;
    readonly copied: number;
  };
  readonly unknown: { readonly open: number; readonly found: number; readonly closed: number };
  /** Signatures that are stored, and those first seen on the day. */
  readonly signatures: { readonly known: number; readonly fresh: number };
  /** Writes that legacy has and the orchestrator lacks, of healthy lanes. */
  readonly backlog: { readonly writes: number; readonly oldestSeconds: number };
  /** Why lanes are not clean. */
  readonly unwell: readonly { readonly condition: string; readonly reason: string; readonly lanes: number }[];
  /** Lanes whose writes have moved. */
  readonly lanesOnOrchestrator: number;
  readonly coverage: { readonly beganAtMs: number | null; readonly endedInDay: number };
  /** The newest finished full reconciliation of every owner. */
  readonly lastFull: EndedRun | null;
  /** Runs that finished on the day, oldest first. */
  readonly runs: readonly EndedRun[];
  /** Lanes that differ: found on the day, by what became of them, and those open now. */
  readonly divergences: Readonly<
    Record<'open' | 'found' | 'repaired' | 'gone' | 'undone' | 'foundLost', number>
  > & {
    /** The newest run that found any of the open ones; null if none is open. */
    readonly run: number | null;
  };
  readonly lost: { readonly open: number; readonly found: number; readonly decided: number };
  /** Lanes that repairs changed on the day, and those whose repair was undone. */
  readonly repairs: { readonly lanes: number; readonly undone: number };
  readonly trips: readonly DayTrip[];
  /** Changes by people and by the guard on the day, by command. */
  readonly audited: readonly { readonly command: string; readonly count: number }[];
  /** The first 50 of the day, oldest first. */
  readonly events: readonly DayEvent[];
  /** The first 20, newest first. */
  readonly differing: readonly DifferingLane[];
}

/** @throws StorageError */
export interface ReportFactStore {
  of(service: ServiceName, day: DaySpan): Promise<ServiceDay>;
  /** Whether anything was recorded on the day: counted minutes, changes, or runs that finished. */
  hasRecords(day: DaySpan): Promise<boolean>;
  /** When this journal was first set up. No report is due for earlier days. */
  installedAtMs(): Promise<number>;
}

export const REPORT_FORMATS = ['html', 'md', 'json'] as const;

export type ReportFormat = (typeof REPORT_FORMATS)[number];

/** A stored report, as lists show it. */
interface ReportHead {
  /** Its day, `YYYY-MM-DD`. */
  readonly date: string;
  readonly madeAtMs: number;
  /** Criteria of the services' present stages that fail. */
  readonly failedCriteria: number;
}

export interface MadeReport {
  readonly date: string;
  readonly failedCriteria: number;
  readonly texts: Readonly<Record<ReportFormat, string>>;
  /** Running totals by name, from which the next report computes its changes. */
  readonly totals: Readonly<Record<string, number>>;
  /** The services that it covers. */
  readonly services: readonly string[];
  /** No other proxy serves a service that it lacks. */
  readonly isWhole: boolean;
}

/** Where a report is delivered: `webhook`, `folder`. */
export type ReportTarget = 'webhook' | 'folder';

/** A report to deliver to a target, claimed by this replica. */
export interface ReportDelivery {
  readonly date: string;
  readonly target: ReportTarget;
  /** How many times it has failed. */
  readonly failures: number;
  readonly replica: ReplicaId;
}

/** Reports that are made or claimed. One replica makes each report, and delivers it to each target. @throws StorageError */
export interface ReportStore {
  /** True for one replica at a time while it lives, and never after the report covers these services. */
  claim(date: string, replica: ReplicaId, services: readonly ServiceName[]): Promise<boolean>;
  /** Gives a claim back, because making the report failed. */
  release(date: string, replica: ReplicaId): Promise<void>;
  /**
   * Stores the claimer's report in place of the present one, and its deliveries, also those that were made before. False if
   * another replica has the claim meanwhile.
   */
  put(report: MadeReport, replica: ReplicaId, targets: readonly ReportTarget[]): Promise<boolean>;
  /** The given days that already have a report about all the given services. */
  made(dates: readonly string[], services: readonly ServiceName[]): Promise<ReadonlySet<string>>;
  /** Services of other live replicas, by name. */
  servedElsewhere(services: readonly ServiceName[]): Promise<readonly ServiceName[]>;
  /** Newest day first. */
  list(limit: number): Promise<readonly ReportHead[]>;
  read(date: string, format: ReportFormat): Promise<string | undefined>;
  /** Running totals of a day's report. */
  totals(date: string): Promise<Readonly<Record<string, number>> | undefined>;
  /** The oldest delivery that is due and that no live replica has claimed. */
  claimDelivery(replica: ReplicaId, targets: readonly ReportTarget[]): Promise<ReportDelivery | undefined>;
  delivered(delivery: ReportDelivery): Promise<void>;
  /** Retried after this time; null: not retried. `problem`: a message without an address. */
  failed(delivery: ReportDelivery, problem: string, retryMs: number | null): Promise<void>;
  /** Deletes the reports of earlier days. */
  prune(firstKept: string): Promise<void>;
}
