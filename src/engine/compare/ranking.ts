/** The weight of deeper ranks. At 0.9 the first ten ranks hold 86 % of the weight. */
const PERSISTENCE = 0.9;

/** Share of the first k entries of one ranking that are among the first k of the other. Two empty rankings agree. */
export function overlapAt(k: number, left: readonly string[], right: readonly string[]): number {
  const theirs = new Set(right.slice(0, k));
  const mine = new Set(left.slice(0, k));
  const most = Math.max(mine.size, theirs.size);
  return most === 0 ? 1 : [...mine].filter((key) => theirs.has(key)).length / most;
}

/**
 * Rank-biased overlap of two rankings of any lengths, extrapolated: RBO_EXT, equation 32 of Webber, Moffat and Zobel,
 * "A similarity measure for indefinite rankings" (2010). Keys must not repeat within a ranking.
 */
export function rankBiasedOverlap(
  left: readonly string[],
  right: readonly string[],
  p = PERSISTENCE,
): number {
  const [short, long] = left.length <= right.length ? [left, right] : [right, left];
  if (long.length === 0) return 1;
  if (short.length === 0) return 0;
  const overlaps = overlapsByDepth(short, long);
  const atShort = overlaps[short.length - 1] ?? 0;
  const atLong = overlaps[long.length - 1] ?? 0;
  let sum = 0;
  overlaps.forEach((overlap, index) => {
    const depth = index + 1;
    // Beyond its end, the short ranking is assumed to agree as before.
    const assumed = depth > short.length ? (atShort * (depth - short.length)) / short.length : 0;
    sum += ((overlap + assumed) / depth) * p ** depth;
  });
  const tail = ((atLong - atShort) / long.length + atShort / short.length) * p ** long.length;
  return ((1 - p) / p) * sum + tail;
}

/** How many keys the first d entries of both share, for each depth d of the longer ranking. */
function overlapsByDepth(short: readonly string[], long: readonly string[]): number[] {
  const seenShort = new Set<string>();
  const seenLong = new Set<string>();
  let common = 0;
  return long.map((key, index) => {
    const other = short[index];
    if (other === key) common += 1;
    else {
      if (seenShort.has(key)) common += 1;
      if (other !== undefined && seenLong.has(other)) common += 1;
    }
    seenLong.add(key);
    if (other !== undefined) seenShort.add(other);
    return common;
  });
}

/** The words of a query, in lower case. */
export function wordsOf(query: string): string[] {
  return query.toLowerCase().match(/[\p{L}\p{N}]{2,}/gu) ?? [];
}
