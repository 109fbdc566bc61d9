import type { LaneState } from '../../domain/lane.ts';
import type { LaneView } from '../ports/ports.ts';

/** Why the orchestrator may not answer for a lane at this moment. */
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

/** What the rule looks at. A member that is absent is not known where the rule is asked, and keeps nothing closed. */
export interface FenceFacts extends Pick<
  LaneState,
  'seededCoverage' | 'condition' | 'exceptions' | 'finding'
> {
  /** A replica is silent that may have written without the journal. */
  readonly isReplicaSilent?: boolean;
  /** An applied write is not on the secondary yet. */
  readonly isBehind?: boolean;
}

/**
 * What is about to look at the orchestrator. `read`: an agent's read. `compare`: a comparison of answers; a known difference does not stop it,
 * because comparisons show when the difference ends. `compare_stores`: a comparison of both stores, which also shows why a lane is stopped.
 */
export type FenceUse = 'read' | 'compare' | 'compare_stores';

/** The rule: one row for each reason. The first that holds is given, and those that pass by themselves come first. */
const RULE: readonly {
  readonly reason: FenceReason;
  readonly holds: (facts: FenceFacts, coverage: number) => boolean;
}[] = [
  { reason: 'replica_silent', holds: ({ isReplicaSilent = false }) => isReplicaSilent },
  { reason: 'dirty', holds: ({ condition }) => condition === 'dirty' },
  { reason: 'copying', holds: ({ condition }) => condition === 'copying' },
  {
    reason: 'not_seeded',
    holds: ({ seededCoverage }, coverage) => coverage === 0 || seededCoverage !== coverage,
  },
  { reason: 'stopped', holds: ({ condition }) => condition === 'stopped' },
  { reason: 'excepted', holds: ({ exceptions }) => exceptions > 0 },
  { reason: 'differs', holds: ({ finding }) => finding > 0 },
  { reason: 'behind', holds: ({ isBehind = false }) => isBehind },
];

/** Reasons that do not stop a use. */
const IGNORED: Readonly<Record<FenceUse, readonly FenceReason[]>> = {
  read: [],
  compare: ['differs'],
  compare_stores: ['differs', 'stopped'],
};

/**
 * Whether the orchestrator may answer for a lane: undefined where it may, because it holds every acknowledged write of the lane.
 * @param coverage the number of the service's present coverage; 0 where there is none
 */
export function fenceOf(
  facts: FenceFacts,
  coverage: number,
  use: FenceUse = 'read',
): FenceReason | undefined {
  return RULE.find(({ reason, holds }) => !IGNORED[use].includes(reason) && holds(facts, coverage))?.reason;
}

/** The same of a lane's row. It is seeded under no coverage but the present one: others may have written unjournaled after an older one. */
export function fenceOfRow(
  view: LaneView | undefined,
  coverage: number,
  use: FenceUse = 'read',
): FenceReason | undefined {
  if (view === undefined || view.coverage !== coverage) return 'not_seeded';
  const { state, isBehind, isReplicaSilent } = view;
  return fenceOf({ ...state, isBehind, isReplicaSilent }, coverage, use);
}
