import type { ServiceName } from '../domain/ids.ts';
import type { Database } from './database.ts';

/** Comparisons of a service on all replicas, and how many of them differ. */
export interface Compared {
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
