import { serviceName } from '../domain/ids.ts';
import { isJsonObject } from '../domain/json.ts';
import { COUNT_NAMES, noCounts, type GuardCounts } from '../engine/guard/guard-counts.ts';
import type { MinuteRow, StoredMinute } from '../engine/guard/guard-ports.ts';

type Members = Readonly<Record<string, unknown>>;

const printedName = (name: string): string =>
  name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

/** A minute of the guard, as people and `guard backtest` get it. */
export function printedMinute({ service, action, minuteMs, replica, counts }: StoredMinute): object {
  return {
    service,
    action,
    minute: new Date(minuteMs).toISOString(),
    replica,
    counts: {
      ...Object.fromEntries(COUNT_NAMES.map((name) => [printedName(name), counts[name]])),
      added: counts.added,
      above_legacy: counts.aboveLegacy,
    },
  };
}

/** Reads one printed line. Undefined if it is not one. Also reads the earlier format, which has `minuteMs`. */
export function parseMinute(line: string): MinuteRow | undefined {
  const row = parsed(line);
  const minuteMs = Number(row['minuteMs'] ?? Date.parse(String(row['minute'])));
  const { service, action, counts } = row;
  if (!Number.isFinite(minuteMs) || typeof service !== 'string' || typeof action !== 'string')
    return undefined;
  const read = isJsonObject(counts) ? parseCounts(counts) : undefined;
  return read && { service: serviceName(service), action, minuteMs, counts: read };
}

/** Members that lines of earlier versions lack. */
const LATER: Partial<Record<(typeof COUNT_NAMES)[number], number>> = {
  dropped: 0,
  independent: 0,
  wholeLanes: 0,
  flippedReads: 0,
  legacyMismatches: 0,
};

function parseCounts(printed: Members): GuardCounts | undefined {
  const counts = noCounts();
  const { added, above_legacy: aboveLegacy = counts.aboveLegacy } = printed;
  if (!isBuckets(added, counts.added.length) || !isBuckets(aboveLegacy, counts.added.length))
    return undefined;
  for (const name of COUNT_NAMES)
    counts[name] = Number(printed[printedName(name)] ?? printed[name] ?? LATER[name]);
  const isWhole = COUNT_NAMES.every((name) => Number.isFinite(counts[name]));
  return isWhole ? { ...counts, added: [...added], aboveLegacy: [...aboveLegacy] } : undefined;
}

function isBuckets(value: unknown, length: number): value is readonly number[] {
  return Array.isArray(value) && value.length === length && value.every((count) => Number.isFinite(count));
}

function parsed(line: string): Members {
  try {
    const row: unknown = JSON.parse(line);
    return isJsonObject(row) ? row : {};
  } catch {
    return {};
  }
}
