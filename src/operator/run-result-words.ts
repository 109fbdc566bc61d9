import { counted } from './report/figures.ts';

/** What a finished reconciliation found, and what became of it, as `GET /v1/runs` shows it. */
export interface RunResult {
  readonly differences: number;
  /** Lanes that differed. */
  readonly lanes: number;
  /** Lanes that the run looked at, including those that it could not compare. */
  readonly seen_lanes: number;
  readonly not_comparable_lanes: number;
  /** Lanes whose difference of this run is open. */
  readonly unsettled_lanes: number;
  /** Lanes that a later run found different again. Its finding is the one to handle. */
  readonly superseded_lanes: number;
}

/** @param owner the only owner that the run was for */
export function foundWords(result: RunResult, owner: string | undefined): string {
  const { differences, lanes, seen_lanes: seen, not_comparable_lanes: left } = result;
  if (lanes > 0) return `${counted(differences, 'difference')} in ${counted(lanes, 'lane')}`;
  if (seen === 0) return owner === undefined ? 'no lane to compare' : 'no lane of this owner';
  return seen === left ? 'no lane compared' : 'equal';
}

/** What became of the findings, and what was left out. */
export function standingNotes({
  lanes,
  unsettled_lanes: unsettled,
  superseded_lanes: superseded,
  not_comparable_lanes: left,
}: RunResult): string[] {
  const isSettled = lanes > 0 && unsettled + superseded === 0;
  return [
    ...(isSettled ? ['all settled'] : []),
    ...(unsettled > 0 && unsettled < lanes
      ? [unsettled === 1 ? '1 still differs' : `${unsettled} still differ`]
      : []),
    ...(superseded > 0 ? [`${superseded === lanes ? '' : `${superseded} `}superseded by a later run`] : []),
    ...(left > 0 ? [`${counted(left, 'lane')} not comparable`] : []),
  ];
}
