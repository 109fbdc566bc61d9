import type { RunRequest } from '../ports/run.ts';

const MOST_LANES = 200;
/** What a lane is taken to hold before it is read. */
const ITEMS_OF_A_LANE = 20;

/**
 * Many lanes fill the calls that they share; at a rate a page of them would be seconds without a sign of life, and too much for one
 * replica while another has nothing to do.
 */
export function lanesOfAPage({ rate }: Pick<RunRequest, 'rate'>): number {
  if (rate === undefined) return MOST_LANES;
  return Math.max(1, Math.min(MOST_LANES, Math.ceil(rate / ITEMS_OF_A_LANE)));
}
