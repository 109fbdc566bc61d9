import type { ServiceName } from '../domain/ids.ts';
import type { MessageLimits } from '../domain/request.ts';
import type { DifferenceStore, KeyedWrites } from './compare/comparison-stores.ts';
import type { ComparisonEdges } from './compare/verdicts.ts';
import type { AuditStore } from './guard/guard-ports.ts';
import type { Events } from './ports/events.ts';
import type { BaselineStore, WriteHistory } from './ports/journal-facts.ts';
import type { LostItemStore } from './ports/lost-items.ts';
import type { Clock } from '../shared/clock.ts';
import type { CoverageStore, Flags, Journal, Orchestrator } from './ports/ports.ts';
import type { ReadLimits } from './ports/decision.ts';
import type { ReplicaIdentity, ReplicaStore } from './ports/replica-ports.ts';
import type { ServiceRuntime } from './ports/service-runtime.ts';
import type { DivergenceStore, RepairStore } from './runs/divergence-ports.ts';
import type { LaneDirectory, RunStore } from './runs/run-ports.ts';
import type { KeptReadStore } from './shadow/repeated-reads.ts';
import type { SpillEdges } from './spill/spill.ts';
import type { BacklogLimits } from './writes/backlog-limit.ts';
import type { KeptReplies } from './writes/repeats.ts';

/** The stores of runs. */
export interface RunEdges {
  readonly store: RunStore;
  readonly baselines: BaselineStore;
  readonly directory: LaneDirectory;
  readonly history: WriteHistory;
  readonly divergences: DivergenceStore;
  readonly lostItems: LostItemStore;
  readonly repairs: RepairStore;
  readonly audit: AuditStore;
}

interface MigrationSettings {
  readonly limits: MessageLimits;
  readonly delivery: { readonly batchSize: number; readonly timeoutMs: number };
  readonly reads: { readonly timeoutMs: number };
  readonly shadow: {
    readonly queueSize: number;
    readonly concurrency: number;
    readonly timeoutMs: number;
    /** Percent of the reads with side effects on legacy that get a comparison of their lane. @defaultValue 1 */
    readonly lanePercentage?: number;
    /** Most kept reads that are repeated per minute. @defaultValue 0: none are kept */
    readonly repeatsPerMinute?: number;
  };
  /** Limits for writes that wait for delivery. @defaultValue no limit */
  readonly backlog?: BacklogLimits;
  /** Lanes copied at the same time. */
  readonly copyConcurrency: number;
  /** Whether all owners are copied automatically once dual writes are active. @defaultValue true */
  readonly copiesAll?: boolean;
}

/** Where reads are kept, and what their evidence depends on besides the lane. */
interface KeptReading {
  readonly store: KeptReadStore;
  readonly versionOf: (service: ServiceName, action: string) => string;
}

export interface MigrationParts {
  readonly replica: ReplicaIdentity;
  readonly services: ReadonlyMap<ServiceName, ServiceRuntime>;
  readonly orchestrator: Orchestrator;
  readonly flags: Flags;
  /** What latches and interlocks permit of the flags. @defaultValue everything */
  readonly readLimits?: ReadLimits;
  readonly journal: Journal;
  readonly coverageStore: CoverageStore;
  readonly replicas: ReplicaStore;
  readonly keptReplies: KeptReplies;
  /** Where writes go while the journal is away. Absent: they are refused. */
  readonly spill?: SpillEdges | undefined;
  readonly differences: DifferenceStore;
  /** Absent: there are no runs, and baselines of copies are not stored. */
  readonly runs?: RunEdges;
  /** Absent: no reads are kept to be repeated. */
  readonly keptReads?: KeptReading;
  /** Absent: only the definitions' rules apply, and no signatures are stored. */
  readonly comparisons?: ComparisonEdges;
  /** Absent: answers are not checked for removed items. */
  readonly keyedWrites?: KeyedWrites;
  readonly events: Events;
  readonly clock: Clock;
  readonly random: () => number;
  readonly settings: MigrationSettings;
}
