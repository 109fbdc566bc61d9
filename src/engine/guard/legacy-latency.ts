import type { ServiceName } from '../../domain/ids.ts';

/** The newest answers of an action, of any age. If all reads have moved and nothing is compared, the last known ones count. */
const KEPT = 200;
/** Fewer are not enough for a p95. */
const LEAST = 20;
/** The p95 is computed again after this many new answers. */
const STALE_AFTER = 20;

/** The newest durations of one action, and their p95. */
class Answers {
  readonly #durations: number[] = [];
  #next = 0;
  #unseen = 0;
  #p95: number | undefined;

  add(ms: number): void {
    this.#durations[this.#next] = ms;
    this.#next = (this.#next + 1) % KEPT;
    this.#unseen += 1;
  }

  get p95(): number | undefined {
    if (this.#durations.length < LEAST) return undefined;
    if (this.#p95 === undefined || this.#unseen >= STALE_AFTER) {
      const sorted = this.#durations.toSorted((a, b) => a - b);
      this.#p95 = sorted[Math.ceil(sorted.length * 0.95) - 1];
      this.#unseen = 0;
    }
    return this.#p95;
  }
}

/** Legacy's time for an action, milliseconds: answers to agents, and those of shadow reads when the orchestrator answers. */
export class LegacyLatency {
  readonly #answers = new Map<string, Answers>();

  add(service: ServiceName, action: string, ms: number): void {
    const key = `${service} ${action}`;
    let answers = this.#answers.get(key);
    if (answers === undefined) this.#answers.set(key, (answers = new Answers()));
    answers.add(ms);
  }

  /** p95 of the newest answers; undefined while there are too few. */
  p95(service: ServiceName, action: string): number | undefined {
    return this.#answers.get(`${service} ${action}`)?.p95;
  }
}
