import type { AbNumbers, FlagStatus } from '../api/status.ts';
import type { ServiceFlag } from '../../domain/flags.ts';
import type { Stage } from '../../domain/stage.ts';
import type { Criterion } from '../api/history.ts';
import type { NextStep } from './next-step.ts';

/**
 * The daily report: the value that every format shows, and its JSON. Rates and shares are 0–1, percentages of flags 0–100,
 * instants ISO-8601 UTC. A change is since the report of the day before, and null if there is none. Owners are named only of
 * lanes that differ. No content.
 */
export interface Report {
  readonly format: 'crossfade-report-1';
  /** The calendar day, `YYYY-MM-DD`, in this zone. */
  readonly date: string;
  readonly zone: string;
  readonly from: string;
  readonly to: string;
  /** When the report was made. States are as they were then. */
  readonly made_at: string;
  /** The day was over. */
  readonly whole_day: boolean;
  readonly crossfade_version: string;
  readonly replicas: number;
  /** Criteria of the services' present stages that fail. */
  readonly failed_criteria: number;
  /** Of these, the criteria that must hold to stay in the stage. A failure means that something is wrong. */
  readonly failed_to_stay: number;
  readonly services: readonly ServiceReport[];
  /** Services of other proxies on this journal that are missing here. Absent in reports of earlier versions. */
  readonly services_elsewhere?: readonly string[];
  /** Address of the desk, for links; null without one. */
  readonly desk_url: string | null;
}

export interface ServiceReport {
  readonly service: string;
  /**
   * Address of the desk of the proxy that serves it; null without one. Absent in reports of earlier versions, where the report's
   * own is used.
   */
  readonly desk_url?: string | null;
  /** The active stage. */
  readonly phase: Stage;
  /** The stage that the flags request. */
  readonly asked: Stage;
  readonly interlocks: string;
  readonly next_step: NextStep;
  /** What happened on the day. */
  readonly today: { readonly sentence: string; readonly events: readonly EventNumbers[] };
  /** The last 14 days with a report. This day is the last. */
  readonly trend: readonly TrendDay[];
  /** When the needed comparisons will be there at the present rate. */
  readonly evidence_expected: { readonly complete: boolean; readonly date: string | null };
  readonly flags: Readonly<Record<ServiceFlag, FlagNumbers>>;
  readonly traffic: Traffic;
  readonly consistency: Consistency;
  readonly errors: Errors;
  readonly added_latency: AddedLatency;
  /** Lanes that read from the orchestrator, compared with lanes that read from legacy, by action. */
  readonly ab: readonly ActionAb[];
  readonly state: State;
  readonly signatures: Signatures;
  readonly rules: Rules;
  readonly reconciliation: Reconciliation;
  readonly guard: Guard;
  readonly coverage: Coverage;
  readonly rollback: Rollback;
  readonly plan: readonly PhasePlan[];
}

export interface FlagNumbers {
  readonly asked: number;
  readonly in_effect: number;
  readonly reason: FlagStatus['reason'];
  /** The interlocks of the flag, whether they lower it or not. */
  readonly held_by: readonly string[];
}

/** One entry of the audit: who did what, and why. */
export interface EventNumbers {
  readonly at: string;
  readonly person: string;
  readonly what: string;
  readonly reason: string;
}

/** A day in one line. */
export interface TrendDay {
  readonly date: string;
  readonly phase: Stage;
  /** Active percent of read-cutover. */
  readonly reads_moved: number;
  readonly operations: number;
  readonly mismatch_rate: number | null;
  /** Criteria of the present stage of the service. */
  readonly failed_criteria: number;
}

interface Traffic {
  readonly operations: number;
  readonly operations_change: number | null;
  readonly reads: number;
  readonly writes: number;
  /** Passed through, or of an action that the definition does not know. */
  readonly other: number;
  readonly reads_from_orchestrator: number;
  readonly actions: readonly ActionTraffic[];
  readonly hours: readonly HourNumbers[];
}

export interface ActionAb extends AbNumbers {
  readonly action: string;
}

export interface ActionTraffic {
  readonly action: string;
  readonly kind: 'read' | 'write' | 'other';
  readonly operations: number;
  readonly comparable: number;
  readonly mismatches: number;
  /** The upper end of its bucket. Null without a measurement, or above the last bucket. */
  readonly added_p95_ms: number | null;
}

export interface HourNumbers {
  /** Local time of its start, such as `14:00`. */
  readonly hour: string;
  /** Null if the hour had not begun, like all its numbers. */
  readonly operations: number | null;
  readonly comparable: number | null;
  readonly mismatches: number | null;
  readonly added_p95_ms: number | null;
}

interface Consistency extends RateNumbers {
  readonly mismatches_change: number | null;
  /** Answers that could not be compared, and their share of all comparisons. */
  readonly not_comparable: number;
  readonly not_comparable_share: number | null;
  /** Comparisons of two errors. They prove little. */
  readonly both_errors: number;
  /** Since the last change of definition or rules. The interlocks judge by this. */
  readonly evidence: readonly ActionEvidence[];
}

/** Hits of tries, with the two-sided exact 95 % interval. */
export interface RateNumbers {
  readonly hits: number;
  readonly of: number;
  readonly rate: number | null;
  readonly interval: readonly [lower: number, upper: number] | null;
}

export interface ActionEvidence extends RateNumbers {
  readonly action: string;
  /** One-sided exact 95 % bound. */
  readonly upper_bound: number;
  readonly missing: number;
  readonly days_missing: number | null;
  readonly accepted: boolean;
}

interface Errors {
  /** Requests that failed because of the proxy. */
  readonly proxy: RateNumbers;
  /** Moved reads that the orchestrator failed. Legacy answered them. */
  readonly orchestrator: RateNumbers;
}

/** The time that the proxy added to the primary's own: upper ends of buckets, null above the last. */
interface AddedLatency {
  readonly measured: number;
  readonly p50_ms: number | null;
  readonly p95_ms: number | null;
  readonly p99_ms: number | null;
  readonly p95_change_ms: number | null;
  readonly slower_than_100_ms: number;
}

interface State {
  readonly lanes: Readonly<
    Record<'total' | 'seeded' | 'dirty' | 'copying' | 'stopped' | 'excepted' | 'differs', number>
  >;
  readonly dirty_change: number | null;
  readonly unwell: readonly { readonly condition: string; readonly reason: string; readonly lanes: number }[];
  readonly backlog: { readonly writes: number; readonly oldest_seconds: number };
  readonly dead_letters: {
    readonly open: number;
    readonly lanes: number;
    readonly new: number;
    readonly redriven: number;
    readonly skipped: number;
    readonly copied: number;
    readonly open_change: number | null;
  };
  readonly unknown_outcomes: { readonly open: number; readonly new: number; readonly closed: number };
}

interface Signatures {
  /** Limited. The ones not seen for longest are removed first. */
  readonly known: number;
  readonly new: number;
  /** The most frequent ones, from which the top is chosen. */
  readonly looked_at: number;
  readonly top: readonly SignatureNumbers[];
}

export interface SignatureNumbers {
  readonly action: string;
  readonly path: string;
  readonly class: string;
  readonly shape: string;
  readonly hint: string | null;
  readonly count: number;
  readonly change: number | null;
  readonly lanes: number;
  readonly new: boolean;
}

interface Rules {
  readonly in_force: number;
  readonly hits_change: number | null;
  /** Rules that have accepted something. */
  readonly hiding: readonly RuleNumbers[];
}

export interface RuleNumbers {
  readonly action: string;
  readonly rule: string;
  readonly owner: string;
  readonly reason: string;
  readonly expires: string | null;
  readonly hits: number;
  readonly change: number | null;
}

export interface RunNumbers {
  readonly run: string;
  readonly kind: string;
  readonly scope: string;
  readonly finished_at: string;
  readonly lanes: number;
  readonly items: number;
  readonly different: number;
  readonly not_comparable: number;
}

interface Reconciliation {
  readonly last_full: (RunNumbers & { readonly age_seconds: number }) | null;
  readonly runs: readonly RunNumbers[];
  readonly unequal_lanes: Readonly<Record<'open' | 'found' | 'repaired' | 'equal_again', number>>;
  readonly lost_items: Readonly<Record<'open' | 'found' | 'decided', number>>;
  readonly repairs: Readonly<Record<'lanes' | 'undone', number>>;
  /** Lanes that are not repaired, at most 20, and the run that found each. */
  readonly differing: readonly { readonly owner: string; readonly run: string; readonly state: string }[];
}

interface Guard {
  readonly latched: boolean;
  readonly held_by: string | null;
  readonly trips: readonly {
    readonly latch: string;
    readonly trigger: string;
    readonly action: string | null;
    readonly at: string;
    readonly released_at: string | null;
  }[];
  readonly changes: readonly { readonly command: string; readonly count: number }[];
}

interface Coverage {
  /** Number of the coverage under which writes are journaled; 0 while they are not. */
  readonly number: number;
  readonly since: string | null;
  readonly ended: number;
  readonly replicas_acting: number;
  readonly replicas: number;
  /** Share of all lanes that the orchestrator holds completely. */
  readonly seeded_share: number | null;
  /** Reads of the day that were compared with a verdict. */
  readonly compared_reads: RateShare;
  readonly actions: number;
  readonly never_compared: readonly string[];
}

interface RateShare {
  readonly hits: number;
  readonly of: number;
  readonly rate: number | null;
}

/** Whether all reads and all writes could move to legacy now without loss. */
interface Rollback {
  readonly ready: boolean;
  /** Lanes whose writes would have to be moved back first. */
  readonly lanes_on_orchestrator: number;
  /** Acknowledged writes that legacy would lack if these lanes returned now. */
  readonly would_be_lost: number;
  /** Estimate of how long their return would take. */
  readonly seconds: number;
  /** When a write was last read back on legacy. Null: never. */
  readonly proven_at: string | null;
  /** Writes that legacy does not have: the printed list of a rollback. */
  readonly lost_items: number;
  readonly unknown_outcomes: number;
  readonly legacy_answers: boolean;
}

export interface PhasePlan {
  readonly phase: Stage;
  readonly present: boolean;
  readonly criteria: readonly Criterion[];
}
