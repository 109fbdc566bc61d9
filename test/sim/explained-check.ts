import type { Database } from './database.ts';
import type { LaneRow } from './lane-row.ts';
import type { Violations } from './violations.ts';

/**
 * I10: stored rows explain each flip, each return, and each lane that is not clean or whose sends wait. A flip has the share that permitted
 * it, or the state of its service in which owners are born on the orchestrator, and a return is within a rollback that a person began.
 */
export function checkExplained(lane: LaneRow, database: Database, violations: Violations): void {
  for (const what of [...unexplainedFlips(lane, database), ...unexplainedStates(lane, database)])
    violations.add('I10', `nothing explains why ${lane.key} ${what}`);
}

function unexplainedFlips(lane: LaneRow, database: Database): readonly string[] {
  return lane.flips
    .filter(
      ({ to, facts, atMs }) =>
        !(to === 'orchestrator' ? 'share' in facts || 'state' in facts : isInRollback(lane, atMs, database)),
    )
    .map(({ to, epoch }) => `was flipped to ${to} in epoch ${epoch}`);
}

function isInRollback({ key }: LaneRow, atMs: number, { rollbacks }: Database): boolean {
  return rollbacks.rows.some(
    ({ beganAtMs, endedAtMs = Infinity, lanes }) =>
      beganAtMs <= atMs && endedAtMs >= atMs && lanes.some(({ lane }) => lane === key),
  );
}

function unexplainedStates({ id, key, condition, reason }: LaneRow, database: Database): readonly string[] {
  const isUnwell = condition === 'dirty' || condition === 'stopped';
  const decided = database.reverse
    .of(id)
    .filter(({ ending, decision }) => isByPerson(ending) && decision === undefined)
    .map(({ ref, ending }) => `has write ${ref.sequence} ${ending}`);
  const waiting = database.rollbacks.waiting
    .filter(({ returning }) => returning.lane === key && returning.attempts > 0 && returning.reason === '')
    .map(() => 'has not returned');
  return [...(isUnwell && reason === '' ? [`is ${condition}`] : []), ...decided, ...waiting];
}

function isByPerson(ending: string | undefined): boolean {
  return ending === 'skipped' || ending === 'assumed_applied';
}
