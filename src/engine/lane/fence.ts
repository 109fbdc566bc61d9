import type { LaneState } from '../../domain/lane.ts';
import type { LaneView } from '../ports/ports.ts';

/** Why the orchestrator may not answer for a lane now. */
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
  /** A replica that may have written without the journal is silent. */
  readonly isReplicaSilent?: boolean;
  /** An applied write is not on the secondary yet. */
  readonly isBehind?: boolean;
}

/**
 * What will use the orchestrator's data. `read`: an agent's read. `compare`: a comparison of answers, which a known difference
 * does not stop, because comparisons show when it ends. `compare_stores`: a comparison of both stores, which also shows why a
 * lane is stopped.
 */
export type FenceUse = 'read' | 'compare' | 'compare_stores';

/** The rule, with one row per reason. The first reason that applies is returned. Reasons that end by themselves come first. */
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
 * Whether the orchestrator may answer for a lane. Undefined if it may, because it holds every acknowledged write of the lane.
 * @param coverage the number of the service's present coverage; 0 if there is none
 */
export function fenceOf(
  facts: FenceFacts,
  coverage: number,
  use: FenceUse = 'read',
): FenceReason | undefined {
  return RULE.find(({ reason, holds }) => !IGNORED[use].includes(reason) && holds(facts, coverage))?.reason;
}

/**
 * The same for a lane's row. Only the present coverage counts as seeded, because unjournaled writes may have followed an older
 * one.
 */
export function fenceOfRow(
  view: LaneView | undefined,
  coverage: number,
  use: FenceUse = 'read',
): FenceReason | undefined {
  if (view === undefined || view.coverage !== coverage) return 'not_seeded';
  const { state, isBehind, isReplicaSilent } = view;
  return fenceOf({ ...state, isBehind, isReplicaSilent }, coverage, use);
}
