import type { Owner, ServiceName } from '../../domain/ids.ts';
import type { DecidedBy } from '../ports/lost-items.ts';
import type { ItemFinding } from './attribute.ts';
import type { StoreFindings } from '../ports/store-findings.ts';

/**
 * `lost`: it holds items that a person must decide about. `accepted`: a person accepted it by name, and it is the same as it was then.
 * `copied`: a copy has made the lane equal since. `undone`: its repair was put back. `gone`: it was equal, or another finding, when
 * looked at again.
 */
export type DivergenceState = 'open' | 'lost' | 'accepted' | 'repaired' | 'copied' | 'undone' | 'gone';

/** What a side shows of a lane. */
export interface SideSummary {
  readonly items: number;
  /** Over the digests of all items, in their order. */
  readonly digest: string;
}

export interface FoundDivergence {
  readonly service: ServiceName;
  readonly owner: Owner;
  readonly findings: readonly ItemFinding[];
  /** The orchestrator's list as it is, and as it will be once it is repaired. */
  readonly before: SideSummary;
  readonly after: SideSummary;
  readonly state: Extract<DivergenceState, 'open' | 'lost'>;
  /** Of the lane when it was compared: what was found before a later copy says nothing of it. */
  readonly generation: number;
}

export interface Divergence extends Omit<FoundDivergence, 'state' | 'generation'> {
  readonly id: number;
  readonly run: number;
  readonly foundAtMs: number;
  readonly state: DivergenceState;
  /** The run that found the lane unequal once more, where that settled this one. Only of those of a run. */
  readonly foundAgainBy?: number | null;
}

/** What a lane's row says of its finding now: see `LaneState.finding`. */
export interface LaneFinding {
  readonly service: ServiceName;
  readonly owner: Owner;
  readonly finding: number;
}

/** What became of a wish to accept a difference. `lost_first`: items that legacy lost must be decided about before. */
export type Acceptance =
  | {
      readonly result: 'accepted';
      readonly run: number;
      readonly findings: number;
      readonly lane: LaneFinding;
    }
  | { readonly result: 'none' | 'lost_first' };

/** Lanes found unequal, and what became of them. No content. Methods that change lanes resolve with these. @throws StorageError */
export interface DivergenceStore {
  /** What was open of the lane before is settled by it. The same difference as one that a person accepted is accepted. */
  add(run: number, found: FoundDivergence): Promise<readonly LaneFinding[]>;
  /** Lanes found equal: what was open of them is gone, and what was lost has come back. */
  equal(service: ServiceName, owners: readonly Owner[]): Promise<readonly LaneFinding[]>;
  /** Those that wait for a repair, in the order they were found. */
  open(run: number, service?: ServiceName): Promise<readonly Divergence[]>;
  ofRun(run: number, limit: number): Promise<readonly Divergence[]>;
  settle(
    service: ServiceName,
    owner: Owner,
    state: Extract<DivergenceState, 'gone' | 'repaired'>,
  ): Promise<readonly LaneFinding[]>;
  /** The lane's reads may move although it differs. Audited. */
  accept(service: ServiceName, owner: Owner, by: DecidedBy): Promise<Acceptance>;
  /** What was repaired last of the lane was put back. */
  undone(service: ServiceName, owner: Owner): Promise<void>;
  /** What stands, by service. */
  standing(): Promise<ReadonlyMap<ServiceName, StoreFindings>>;
}

/** What a repair changed of a lane, and how it is put back. */
export interface RepairStep {
  readonly run: number;
  readonly service: ServiceName;
  readonly owner: Owner;
  /** JSON: the writes that put back what was. */
  readonly inverse: string;
  /** Of the lane when it was repaired; null where that was not written down. */
  readonly sequence: number | null;
}

/** @throws StorageError */
export interface RepairStore {
  add(step: RepairStep): Promise<void>;
  /** Steps that were not undone, the newest first. */
  steps(run: number): Promise<readonly RepairStep[]>;
  /** Nobody has put it back meanwhile. */
  isOpen(step: RepairStep): Promise<boolean>;
  undone(step: RepairStep): Promise<void>;
}
