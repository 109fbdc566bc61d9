import type { Owner, ServiceName } from '../../domain/ids.ts';
import type { DecidedBy } from '../ports/lost-items.ts';
import type { ItemFinding } from './attribute.ts';
import type { StoreFindings } from '../ports/finding.ts';

/**
 * `legacy_differs`: the lane is flipped, so the difference counts against legacy. `lost`: it has lost items that a person must
 * decide about. `accepted`: a person accepted it by name, and it has not changed since. `copied`: a copy has made the lane equal
 * since. `undone`: its repair was undone. `gone`: it was equal, or had another finding, at a later look.
 */
type DivergenceState =
  'open' | 'legacy_differs' | 'lost' | 'accepted' | 'repaired' | 'copied' | 'undone' | 'gone';

/** What a side shows of a lane. */
export interface SideSummary {
  readonly items: number;
  /** A digest over the digests of all items, in their order. */
  readonly digest: string;
}

interface FoundDivergence {
  readonly service: ServiceName;
  readonly owner: Owner;
  readonly findings: readonly ItemFinding[];
  /** The orchestrator's list as it is, and as it will be after a repair. */
  readonly before: SideSummary;
  readonly after: SideSummary;
  readonly state: Extract<DivergenceState, 'open' | 'lost'>;
  /** The lane's generation when it was compared. A finding from before a later copy does not apply any more. */
  readonly generation: number;
  /** Its epoch then. A flip changes which backend the difference counts against. */
  readonly epoch: number;
}

export interface Divergence extends Omit<FoundDivergence, 'state' | 'generation' | 'epoch'> {
  readonly id: number;
  readonly run: number;
  readonly foundAtMs: number;
  readonly state: DivergenceState;
  /** The run that found the lane different again, if that resolved this one. Only for those of a run. */
  readonly foundAgainBy?: number | null;
}

/** The state of a lane's finding as its row has it: see `LaneState.finding`. */
export interface LaneFinding {
  readonly service: ServiceName;
  readonly owner: Owner;
  readonly finding: number;
}

/** The result of a request to accept a difference. `lost_first`: a person must decide about lost items first. */
export type Acceptance =
  | {
      readonly result: 'accepted';
      readonly run: number;
      readonly findings: number;
      readonly lane: LaneFinding;
    }
  | { readonly result: 'none' | 'lost_first' };

/**
 * Lanes that were found different, and what became of them. No content. Methods that change lanes resolve with these. @throws
 * StorageError
 */
export interface DivergenceStore {
  /**
   * Stores a finding and resolves older ones of the lane. If a person accepted the same difference, it counts as accepted. In a flipped
   * lane it counts against legacy, whatever state is given.
   */
  add(run: number, found: FoundDivergence): Promise<readonly LaneFinding[]>;
  /** Records lanes that were found equal. Their open findings are gone, and lost items have come back. */
  equal(service: ServiceName, owners: readonly Owner[]): Promise<readonly LaneFinding[]>;
  /** Those that wait for a repair, in the order in which they were found. */
  open(run: number, service?: ServiceName): Promise<readonly Divergence[]>;
  ofRun(run: number, limit: number): Promise<readonly Divergence[]>;
  resolve(
    service: ServiceName,
    owner: Owner,
    state: Extract<DivergenceState, 'gone' | 'repaired'>,
  ): Promise<readonly LaneFinding[]>;
  /** The lane's reads may move although it differs. Audited. */
  accept(service: ServiceName, owner: Owner, by: DecidedBy): Promise<Acceptance>;
  /** The last repair of the lane was undone. */
  undone(service: ServiceName, owner: Owner): Promise<void>;
  /** The open findings, by service. */
  standing(): Promise<ReadonlyMap<ServiceName, StoreFindings>>;
}

/** What a repair changed in a lane, and how to undo it. */
export interface RepairStep {
  readonly run: number;
  readonly service: ServiceName;
  readonly owner: Owner;
  /** JSON: the writes that restore the earlier state. */
  readonly inverse: string;
  /** The lane's sequence when it was repaired; null if it was not stored. */
  readonly sequence: number | null;
}

/** @throws StorageError */
export interface RepairStore {
  add(step: RepairStep): Promise<void>;
  /** Steps that were not undone, newest first. */
  steps(run: number): Promise<readonly RepairStep[]>;
  /** Whether it was not undone meanwhile. */
  isOpen(step: RepairStep): Promise<boolean>;
  undone(step: RepairStep): Promise<void>;
}
