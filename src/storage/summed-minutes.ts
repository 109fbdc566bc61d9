import type { ServiceName } from '../domain/ids.ts';
import { ADDED_BOUNDS_MS, COUNT_NAMES, type GuardCounts, noCounts } from '../engine/guard/guard-counts.ts';
import type { Database } from './database.ts';

/** Columns with sums over the guard's minutes, which {@link countsOf} converts to counts. */
export const SUMS = [
  ...COUNT_NAMES.map((name) => `sum((counts ->> '${name}')::bigint) as "${name}"`),
  ...Array.from(
    { length: ADDED_BOUNDS_MS.length + 1 },
    (_, bucket) => `sum((counts -> 'added' ->> ${bucket})::bigint) as added_${bucket}`,
  ),
].join(', ');

export type SumRow = Readonly<Record<string, number>>;

export function countsOf(row: SumRow): GuardCounts {
  const counts = noCounts();
  for (const name of COUNT_NAMES) counts[name] = row[name] ?? 0;
  for (let bucket = 0; bucket <= ADDED_BOUNDS_MS.length; bucket += 1)
    counts.added[bucket] = row[`added_${bucket}`] ?? 0;
  return counts;
}

/** The sums of one action over all replicas. */
interface SummedMinutes {
  readonly action: string;
  /** Index of the step, from 0. */
  readonly step: number;
  readonly counts: GuardCounts;
}

const STEPS = `
select action, floor(extract(epoch from minute - $2::timestamptz) / $3)::int as step, ${SUMS}
from guard_minutes where service = $1 and minute >= $2 group by 1, 2 order by 2, 1`;

/** The guard's counts of a service since an instant, summed in steps. @throws StorageError */
export function createSummedMinutes(database: Database) {
  return async (
    service: ServiceName,
    { fromMs, stepSeconds }: { readonly fromMs: number; readonly stepSeconds: number },
  ): Promise<readonly SummedMinutes[]> => {
    const parameters = [service, new Date(fromMs).toISOString(), stepSeconds];
    const rows = await database.query<SumRow & { action: string; step: number }>(STEPS, parameters);
    return rows.map((row) => ({ action: row.action, step: row.step, counts: countsOf(row) }));
  };
}

/** Comparisons of a service on all replicas, and how many of them differ. */
interface Compared {
  readonly service: ServiceName;
  readonly compared: number;
  readonly differ: number;
}

const COMPARED = `
select service, sum((counts ->> 'comparable')::bigint) as compared, sum((counts ->> 'mismatches')::bigint) as differ
from guard_minutes where minute >= $1 group by service`;

/** Comparisons since the start of a minute. Services without a comparison are omitted. @throws StorageError */
export function createComparedSince(database: Database) {
  return (fromMs: number): Promise<readonly Compared[]> =>
    database.query<Compared>(COMPARED, [new Date(fromMs).toISOString()]);
}
