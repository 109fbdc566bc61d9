/** How long the writes of a lane waited because of its flip, milliseconds, from the proxy's histogram. */
export interface Holds {
  readonly flips: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

const BUCKET = /^crossfade_flip_hold_seconds_bucket\{.*le="([^"]+)".*\} (\d+)/gm;

/** Of all services since the proxy's start. @param httpUrl of the proxy, without a slash at the end */
export async function holdsOf(httpUrl: string): Promise<Holds> {
  return holdsIn(await (await fetch(`${httpUrl}/metrics`)).text());
}

/** Between the boundaries of the histogram, evenly. @param text what /metrics answers */
export function holdsIn(text: string): Holds {
  const counts = new Map<number, number>();
  for (const [, le = '', count = ''] of text.matchAll(BUCKET)) {
    const seconds = Number(le.replace('+Inf', 'Infinity'));
    counts.set(seconds, (counts.get(seconds) ?? 0) + Number(count));
  }
  const buckets = [...counts]
    .map(([seconds, count]) => ({ seconds, count }))
    .toSorted((a, b) => a.seconds - b.seconds);
  const flips = buckets.at(-1)?.count ?? 0;
  const quantileMs = (share: number): number => {
    const at = buckets.findIndex(({ count }) => count >= flips * share);
    const { seconds: to = Number.NaN, count = 0 } = buckets[at] ?? {};
    const { seconds: from = 0, count: below = 0 } = buckets[at - 1] ?? {};
    return 1_000 * (from + ((to - from) * (flips * share - below)) / (count - below));
  };
  return { flips, p50Ms: quantileMs(0.5), p99Ms: quantileMs(0.99) };
}
