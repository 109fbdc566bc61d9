import type { ServiceName } from '../domain/ids.ts';
import type { MessageLimits } from '../domain/request.ts';
import type { DifferenceStore, KeyedWrites } from './compare/comparison-stores.ts';
import type { ComparisonEdges } from './compare/verdicts.ts';
import type { AuditStore } from './guard/guard-ports.ts';
import type { EndKeeperParts } from './ends/end-keeper.ts';
import type { ServiceStates } from './ends/service-states.ts';
import type { Events } from './ports/events.ts';
import type { FlipLimits } from './flips/eligibility.ts';
import type { FlipBook, FlipShareStore, FlipStore } from './ports/flip-ports.ts';
import type { BaselineStore, WriteHistory } from './ports/journal-facts.ts';
import type { LostItemStore } from './ports/lost-items.ts';
import type { Clock } from '../shared/clock.ts';
import type { CoverageStore, Flags, Journal, Orchestrator } from './ports/ports.ts';
import type { ReadLimits } from './ports/decision.ts';
import type { ServiceWritesStore } from './ports/service-writes-ports.ts';
import type { ReplicaIdentity, ReplicaStore } from './ports/replica-ports.ts';
import type { RestoredStore } from './ports/restored-ports.ts';
import type { ReverseLedger, ReverseProofs, ReverseSends } from './ports/reverse-ports.ts';
import type { WayBackStore } from './ports/way-back-ports.ts';
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

export interface FlipSettings extends FlipLimits {
  /** Lanes flipped per second, by all replicas together. */
  readonly perSecond: number;
}

/** Where the lanes are changed whose primary is the orchestrator. */
export interface FlipEdges {
  readonly store: FlipStore;
  readonly shares: FlipShareStore;
  readonly book: FlipBook;
  /** When a write of the service was last read back on legacy. Undefined: never, so that no lane is flipped. */
  readonly provenAt: (service: ServiceName) => Promise<{ readonly atMs: number } | undefined>;
  /** What a comparison of a lane is judged by. */
  readonly digestOf: (service: ServiceName) => string;
  readonly settings: FlipSettings;
  /** With which this process answers writes of flipped lanes, by service. */
  readonly versions: Readonly<Record<string, string>>;
}

/** What follows services whose legacy takes no more writes. */
export interface EndEdges {
  readonly store: ServiceWritesStore;
  readonly states: ServiceStates;
  readonly settings: EndKeeperParts['settings'];
}

/** The stores of the return of lanes to legacy. */
export interface WayBackEdges {
  readonly store: WayBackStore;
  readonly reverse: Pick<ReverseLedger, 'decide'>;
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
  /** How long the journal keeps a delivered write. @defaultValue 1 */
  readonly journalHours?: number;
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
  readonly reverseSends: ReverseSends;
  readonly reverseProofs: ReverseProofs;
  /** Where writes go while the journal is away. Absent: they are refused. */
  readonly spill?: SpillEdges | undefined;
  /** Absent: restored databases are not noticed. */
  readonly restored?: RestoredStore;
  /** Absent: no lane returns to legacy. */
  readonly wayBack?: WayBackEdges;
  readonly differences: DifferenceStore;
  /** Absent: no writes move to the orchestrator. */
  readonly flips?: FlipEdges;
  /** Absent: there are no runs, and baselines of copies are not stored. */
  readonly runs?: RunEdges;
  /** The end of migrations. Absent: every service is open. */
  readonly ends?: EndEdges;
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
