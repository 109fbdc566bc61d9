/** As much of a server's own work may wait in its queue, where we cannot withdraw it any more. */
const BUDGET_MS = 20;
const SMOOTHING = 0.2;
/** What a server that missed a deadline counts as: from there one call at a time, until it was prompt for a while. */
const SLOW_MS = 1_000;

/**
 * How many calls a serial server may hold at once. One at a time costs a fast server three quarters of its throughput, since
 * it waits for us after each reply; many at a time fills the queue of a slow one with calls that time out there.
 * So: as many as it has lately answered in 20 ms, at least one, at most the limit.
 */
export class PipelineDepth {
  readonly #limit: number;
  #serviceMs = SLOW_MS;
  #lastAnswerAtMs = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  get depth(): number {
    return Math.max(1, Math.min(this.#limit, Math.floor(BUDGET_MS / this.#serviceMs)));
  }

  /** A call was answered. It was being worked on since it was sent, or since the one before it was answered. */
  answered(sentAtMs: number, nowMs: number): void {
    const tookMs = nowMs - Math.max(sentAtMs, this.#lastAnswerAtMs);
    this.#lastAnswerAtMs = nowMs;
    this.#serviceMs += SMOOTHING * (tookMs - this.#serviceMs);
  }

  missed(): void {
    this.#serviceMs = SLOW_MS;
  }
}
