/** The last line of a run. */
export interface CutoverResult {
  readonly operations: number;
  readonly acknowledged_writes: number;
  readonly agent_errors: number;
  readonly flipped: number;
  readonly flipped_back: number;
  readonly held_p50_ms: number;
  readonly held_p99_ms: number;
  readonly lost: number;
  readonly duplicated: number;
  readonly misordered: number;
  readonly resurrected: number;
  readonly foreign_found: number;
  readonly certificate_valid: boolean;
  readonly seconds: number;
  /** Of all calls of agents, in the minute before the first flip and in the time of flipping. */
  readonly agents_p99_ms_before: number;
  readonly agents_p99_ms_flipping: number;
  /** Latches of the guard that the run released, as an operator does. */
  readonly latches_released: number;
  /** Requests that were refused while the orchestrator was away on purpose, and were sent again. */
  readonly refused_while_away: number;
}

export const SERVICES = ['session-memory', 'contextual-memory', 'jarvis-memory'] as const;
export type CutoverService = (typeof SERVICES)[number];

const MUST_BE_ZERO = ['agent_errors', 'lost', 'duplicated', 'misordered', 'resurrected'] as const;
const MUST_NOT_BE_ZERO = ['operations', 'acknowledged_writes', 'flipped', 'flipped_back'] as const;
const MOST = {
  held_p99_ms: 250,
  seconds: 300,
  /** A killed orchestrator trips the guard of each service, and once more while it starts. */
  latches_released: 6,
} as const;
const MOST_ABOVE_MS = 50;

/** What is not as it must be at the end, one sentence each. Empty: the acceptance is passed. */
export function problemsOf(result: CutoverResult): string[] {
  const { foreign_found: found, agents_p99_ms_before: before, agents_p99_ms_flipping: flipping } = result;
  const slower = flipping - before;
  return [
    ...MUST_BE_ZERO.filter((name) => result[name] !== 0).map(
      (name) => `${name} is ${result[name]}, not zero`,
    ),
    ...MUST_NOT_BE_ZERO.filter((name) => !(result[name] > 0)).map((name) => `${name} is ${result[name]}`),
    ...Object.entries(MOST).flatMap(([name, most]) => {
      const value = result[name as keyof typeof MOST];
      return value <= most ? [] : [`${name} is ${value}, above ${most}`];
    }),
    ...(slower <= MOST_ABOVE_MS
      ? []
      : [`agents' p99 is ${flipping} ms while lanes flip, more than ${MOST_ABOVE_MS} ms above ${before} ms`]),
    ...(found === SERVICES.length
      ? []
      : [`foreign_found is ${found}: one writer in each of ${SERVICES.length} services`]),
    ...(result.certificate_valid ? [] : ['a certificate is not valid']),
  ];
}
