import { serviceName } from '../../src/domain/ids.ts';
import { isTrip } from '../../src/engine/ports/finding.ts';
import { ServiceGuard } from '../../src/engine/guard/guard.ts';
import { noCounts } from '../../src/engine/guard/guard-counts.ts';
import { GUARD_LIMITS } from '../../src/engine/guard/triggers.ts';

const SERVICE = serviceName('session-memory');

/** Mulberry32: a small generator with a seed, so that a failure can be looked at again. */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d_2b_79_f5) >>> 0;
    let word = Math.imul(state ^ (state >>> 15), state | 1);
    word ^= word + Math.imul(word ^ (word >>> 7), word | 61);
    return ((word ^ (word >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** How many of `tries` hit, drawn at a low rate without drawing for each: the gaps between hits are geometric. */
function createHits(rate: number, random: () => number): (tries: number) => number {
  const gap = (): number => (rate === 0 ? Infinity : Math.floor(Math.log(1 - random()) / Math.log1p(-rate)));
  let left = gap();
  return (tries) => {
    let hits = 0;
    let rest = tries;
    while (left < rest) {
      rest -= left + 1;
      hits += 1;
      left = gap();
    }
    left -= rest;
    return hits;
  };
}

/** Comparisons as they come in, and how often they differ. */
export interface GuardStream {
  readonly seed: number;
  readonly perSecond: number;
  /** Share of the comparisons that are mismatches, 0–1. */
  readonly rate: number;
  readonly seconds: number;
  /** Ends at the first trip. */
  readonly once?: true;
}

/** Seconds at which the guard trips, looked at every second; after each trip it begins anew, as after a release. */
export function tripsOf(
  { seed, perSecond, rate, seconds, once }: GuardStream,
  limits = GUARD_LIMITS,
): number[] {
  const hitsAmong = createHits(rate, seeded(seed));
  const guard = new ServiceGuard(SERVICE, limits);
  const counts = noCounts();
  const trips: number[] = [];
  let owed = 0;
  for (let second = 0; second < seconds; second += 1) {
    owed += perSecond;
    counts.comparable = Math.floor(owed);
    counts.mismatches = hitsAmong(counts.comparable);
    owed -= counts.comparable;
    if (counts.comparable > 0) guard.add('get_context', second * 1_000, counts);
    if (!guard.findings(second * 1_000).some(isTrip)) continue;
    trips.push(second);
    if (once === true) return trips;
    guard.reset();
  }
  return trips;
}
