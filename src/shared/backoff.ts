/** Growing pauses between the attempts at something that fails. Each is twice as long as the one before. */
interface Backoff {
  readonly firstMs: number;
  /** @defaultValue no limit, for a few attempts */
  readonly longestMs?: number;
}

/** The pause after this many failures in a row, milliseconds. */
export function backoffMs(failures: number, { firstMs, longestMs = Infinity }: Backoff): number {
  return Math.min(longestMs, firstMs * 2 ** (failures - 1));
}
