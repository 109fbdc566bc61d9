import type { Backend } from '../../domain/backend.ts';
import type { LaneState } from '../../domain/lane.ts';
import type { Clock } from '../../shared/clock.ts';
import type { Journal, LaneView } from '../ports/ports.ts';
import type { Coverage } from '../ports/service-runtime.ts';
import type { Lane } from './lane.ts';

/** Why the secondary may not answer for a lane now. */
export type FenceReason =
  | 'not_seeded'
  | 'dirty'
  | 'copying'
  | 'stopped'
  | 'excepted'
  | 'differs'
  | 'spilling'
  | 'replica_silent'
  | 'behind';

/** What the rule checks. An absent member is unknown to the caller, and closes nothing. */
export interface FenceFacts extends Pick<
  LaneState,
  'seededCoverage' | 'condition' | 'exceptions' | 'finding'
> {
  /** The backend that is primary for the lane's writes. @defaultValue legacy */
  readonly primary?: Backend;
  /** A replica that may have written without the journal is silent. */
  readonly isReplicaSilent?: boolean;
  /** A write that is applied, or that may be, is not recorded as delivered. */
  readonly isBehind?: boolean;
  /** The orchestrator has not said yet whether a write took effect. */
  readonly isClosing?: boolean;
}

/**
 * What will use the secondary's data. `read`: an agent's read. `compare`: a comparison of answers, which a known difference
 * does not stop, because comparisons show when it ends. `compare_stores`: a comparison of both stores, which also shows why a
 * lane is stopped.
 */
export type FenceUse = 'read' | 'compare' | 'compare_stores';

/**
 * The rule, with one row per reason. The first reason that applies is returned. Reasons that end by themselves come first. Legacy is not
 * filled by copies, so as the secondary it lacks only what is not delivered.
 */
const RULE: readonly {
  readonly reason: FenceReason;
  /** It also applies where legacy is the secondary. @defaultValue false */
  readonly isOfBoth?: true;
  readonly holds: (facts: FenceFacts, coverage: number) => boolean;
}[] = [
  { reason: 'replica_silent', isOfBoth: true, holds: ({ isReplicaSilent = false }) => isReplicaSilent },
  { reason: 'dirty', holds: ({ condition }) => condition === 'dirty' },
  { reason: 'copying', holds: ({ condition }) => condition === 'copying' },
  {
    reason: 'not_seeded',
    holds: ({ seededCoverage }, coverage) => coverage === 0 || seededCoverage !== coverage,
  },
  { reason: 'stopped', holds: ({ condition }) => condition === 'stopped' },
  { reason: 'excepted', holds: ({ exceptions }) => exceptions > 0 },
  { reason: 'differs', holds: ({ finding }) => finding > 0 },
  {
    reason: 'behind',
    isOfBoth: true,
    holds: ({ isBehind = false, isClosing = false }) => isBehind || isClosing,
  },
];

/** Reasons that do not stop a use. */
const IGNORED: Readonly<Record<FenceUse, readonly FenceReason[]>> = {
  read: [],
  compare: ['differs'],
  compare_stores: ['differs', 'stopped'],
};

/**
 * Why the secondary may not answer for a lane. Undefined if it may, because it holds every acknowledged write of the lane. What the
 * secondary forgets by itself is not considered.
 * @param coverage the number of the service's present coverage; 0 if there is none
 */
export function fenceOf(
  facts: FenceFacts,
  coverage: number,
  use: FenceUse = 'read',
): FenceReason | undefined {
  const { primary = 'legacy' } = facts;
  return RULE.find(
    ({ reason, holds, isOfBoth }) =>
      (primary === 'legacy' || isOfBoth) && !IGNORED[use].includes(reason) && holds(facts, coverage),
  )?.reason;
}

/**
 * The same for a lane's row. Only the present coverage counts as seeded, because unjournaled writes may have followed an older
 * one. No write of a flipped lane passes unjournaled.
 */
export function fenceOfRow(
  view: LaneView | undefined,
  coverage: number,
  use: FenceUse = 'read',
): FenceReason | undefined {
  if (view === undefined) return 'not_seeded';
  if (view.state.primary === 'legacy' && view.coverage !== coverage) return 'not_seeded';
  const { state, isBehind, isReplicaSilent } = view;
  return fenceOf({ ...state, isBehind, isReplicaSilent }, coverage, use);
}

/** Interval of queries to the journal while a lane catches up. */
const LOOK_AGAIN_MS = 5;

interface FenceParts {
  readonly journal: Pick<Journal, 'fence'>;
  readonly coverage: ReadonlyMap<string, Coverage>;
  readonly clock: Clock;
  /** Whether no other replica writes. Then memory answers. */
  readonly isAlone: () => boolean;
  /** Whether this replica has written something that the journal does not know. */
  readonly isSpilling: () => boolean;
}

/** Whether the secondary holds every acknowledged write of a lane, of any replica. */
export class Fences {
  readonly #parts: FenceParts;

  constructor(parts: FenceParts) {
    this.#parts = parts;
  }

  /** Whether the journal need not be queried. */
  isInMemory(lane: Lane): boolean {
    return lane.isLoaded && this.#parts.isAlone();
  }

  /** Undefined if it does, as far as this replica knows. For a lane that is known in memory. */
  lookInMemory(lane: Lane, use: FenceUse = 'read'): FenceReason | undefined {
    return this.#parts.isSpilling() ? 'spilling' : lane.fence(this.#coverageOf(lane), use);
  }

  /** Undefined if it does. @throws StorageError */
  async look(lane: Lane, use: FenceUse = 'read'): Promise<FenceReason | undefined> {
    // What a replica that has left knew of the lane is only in the journal.
    if (this.isInMemory(lane)) return this.lookInMemory(lane, use);
    if (this.#parts.isSpilling()) return 'spilling';
    const coverage = this.#coverageOf(lane);
    return fenceOfRow(await this.#parts.journal.fence(lane.key), coverage, use);
  }

  /** The same, as the journal has just shown the lane. */
  judge(lane: Lane, view: LaneView, use: FenceUse = 'read'): FenceReason | undefined {
    return this.#parts.isSpilling() ? 'spilling' : fenceOfRow(view, this.#coverageOf(lane), use);
  }

  #coverageOf({ service }: Lane): number {
    return this.#parts.coverage.get(service)?.number ?? 0;
  }

  /**
   * The same, after waiting at most `ms` for the lane's deliveries. Writes that begin during the wait are not waited for, because
   * the read began before them.
   * @throws StorageError
   */
  async catchUp(lane: Lane, ms: number, use: FenceUse = 'read'): Promise<FenceReason | undefined> {
    const { clock, isAlone } = this.#parts;
    if (isAlone()) {
      const needed = lane.applied;
      if (lane.isBehind) await lane.caughtUp(ms);
      const reason = await this.look(lane, use);
      const isNeeded = lane.delivered < needed || lane.isClosing;
      return reason === 'behind' && !isNeeded ? undefined : reason;
    }
    const untilMs = clock.now() + ms;
    for (;;) {
      const reason = await this.look(lane, use);
      if (reason !== 'behind' || clock.now() >= untilMs) return reason;
      await clock.sleep(LOOK_AGAIN_MS);
    }
  }
}
