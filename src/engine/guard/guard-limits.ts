/** The limits of the guard. The defaults are those of ../README.md, "Guard". Other values are for backtests. */
export interface GuardLimits {
  /** Rate of mismatches, 0–1. The guard trips if the lower bound exceeds it. */
  readonly mismatchRate: number;
  /** The same for failures of the orchestrator or of the proxy itself. */
  readonly errorRate: number;
  /**
   * Share of comparisons that could not be made, 0–1. Above it an alert is sent, because the other comparisons prove too little.
   */
  readonly notComparableRate: number;
  /** Fewer mismatches or failures prove nothing. */
  readonly leastHits: number;
  /** Standard deviations of the lower bound that trips. High, because it is evaluated every second. */
  readonly z: number;
  /** Standard deviations at which increases are blocked, as a first step. */
  readonly holdZ: number;
  /** Added latency that 5 % of a minute's operations must exceed, milliseconds. An end of a bucket. */
  readonly addedMs: number;
  /** Number of slow minutes among the last {@link ofMinutes}, each with at least {@link leastOperations}. */
  readonly slowMinutes: number;
  readonly ofMinutes: number;
  readonly leastOperations: number;
  /** Share of the items, or of the lanes, of the last full reconciliation that may differ, 0–1. */
  readonly storesShare: number;
  /** Fewer differing items prove nothing, whatever their share. */
  readonly storesItems: number;
  /** The same for lanes. */
  readonly storesLanes: number;
  /** Number of lanes with a dead letter, each for at least {@link deadLetterMs}. */
  readonly deadLetterLanes: number;
  readonly deadLetterMs: number;
}

export const GUARD_LIMITS: GuardLimits = {
  mismatchRate: 0.001,
  errorRate: 0.01,
  notComparableRate: 0.05,
  leastHits: 5,
  z: 3.9,
  holdZ: 1.96,
  addedMs: 100,
  slowMinutes: 3,
  ofMinutes: 5,
  leastOperations: 40,
  storesShare: 0.001,
  storesItems: 5,
  storesLanes: 3,
  deadLetterLanes: 3,
  deadLetterMs: 300_000,
};

/** Share of a minute's operations that may be slower, as for a p95. */
export const SLOW_SHARE = 0.05;
