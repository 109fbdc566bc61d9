/** One JSON line of what was measured, so that it can be quoted: every case, their median and the longest, milliseconds. */
export function printMeasured(measured: string, tookMs: readonly number[], goalMs?: number): void {
  const ms = tookMs.map(Math.round);
  const sorted = ms.toSorted((a, b) => a - b);
  const line = {
    measured,
    goal_ms: goalMs,
    median_ms: sorted[sorted.length >> 1],
    most_ms: sorted.at(-1),
    ms,
  };
  console.log(JSON.stringify(line));
}
