/** What one path did in one round. */
export interface Sample {
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly perSecond: number;
  readonly operations: number;
  readonly errors: number;
  readonly firstError?: string;
}

/** Durations of the operations of one measurement. */
export class Recorder {
  readonly #durationsMs: number[] = [];
  #errors = 0;
  #firstError: string | undefined;

  add(durationMs: number): void {
    this.#durationsMs.push(durationMs);
  }

  failed(reason: string): void {
    this.#errors += 1;
    this.#firstError ??= reason;
  }

  sample(seconds: number): Sample {
    const sorted = Float64Array.from(this.#durationsMs).sort();
    return {
      p50Ms: quantile(sorted, 0.5),
      p99Ms: quantile(sorted, 0.99),
      perSecond: sorted.length / seconds,
      operations: sorted.length,
      errors: this.#errors,
      ...(this.#firstError !== undefined && { firstError: this.#firstError }),
    };
  }
}

function quantile(sorted: Float64Array, share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}

/** The middle of the finite values; NaN where there is none. */
export function median(values: readonly number[]): number {
  const sorted = values.filter(Number.isFinite).toSorted((a, b) => a - b);
  const middle = sorted.length / 2;
  const [lower, upper] = [sorted[Math.ceil(middle) - 1], sorted[Math.floor(middle)]];
  return lower === undefined || upper === undefined ? Number.NaN : (lower + upper) / 2;
}

export function rounded(value: number, digits = 3): number {
  return Number(value.toFixed(digits));
}
