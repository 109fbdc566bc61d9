import type { RunRequest } from '../ports/run.ts';

const MOST_LANES = 200;
/** Assumed number of items of a lane before it is read. */
const ITEMS_OF_A_LANE = 20;

/**
 * Large pages fill shared calls. With a rate limit, a page must be small: a large one would show no progress for seconds, and
 * would keep work from other replicas.
 */
export function lanesOfAPage({ rate }: Pick<RunRequest, 'rate'>): number {
  if (rate === undefined) return MOST_LANES;
  return Math.max(1, Math.min(MOST_LANES, Math.ceil(rate / ITEMS_OF_A_LANE)));
}
