import type { RunResult } from './api/runs.ts';
import { counted } from './views/figures.ts';

/** @param owner the only owner that the run was for */
export function foundWords(result: RunResult, owner: string | undefined): string {
  const { differences, lanes, seen_lanes: seen, not_comparable_lanes: left, flipped_lanes: flipped } = result;
  if (lanes > 0) return `${counted(differences, 'difference')} in ${counted(lanes, 'lane')}`;
  if (seen === 0) return owner === undefined ? 'no lane to compare' : 'no lane of this owner';
  if (flipped > 0) return 'no difference on the orchestrator';
  return seen === left ? 'no lane compared' : 'equal';
}

/** What became of the findings, and what was left out. */
export function standingNotes({
  lanes,
  unresolved_lanes: unresolved,
  superseded_lanes: superseded,
  not_comparable_lanes: left,
  flipped_lanes: flipped,
}: RunResult): string[] {
  const isResolved = lanes > 0 && unresolved + superseded === 0;
  return [
    ...(isResolved ? ['all resolved'] : []),
    ...(unresolved > 0 && unresolved < lanes
      ? [unresolved === 1 ? '1 still differs' : `${unresolved} still differ`]
      : []),
    ...(superseded > 0 ? [`${superseded === lanes ? '' : `${superseded} `}superseded by a later run`] : []),
    ...(left > 0 ? [`${counted(left, 'lane')} not comparable`] : []),
    ...(flipped > 0 ? [`legacy differs in ${counted(flipped, 'flipped lane')}`] : []),
  ];
}
