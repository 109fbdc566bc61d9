import type { ServiceName } from '../../domain/ids.ts';
import { NOTHING_FOUND, type FullRunSize, type StoreFindings } from '../../engine/ports/store-findings.ts';
import type { Database } from '../database.ts';
import { LAST_FULL_RUNS, UNSETTLED_BY_SERVICE } from './standing-sql.ts';

interface UnsettledRow extends Omit<StoreFindings, 'full'> {
  readonly service: ServiceName;
}

interface FullRow extends FullRunSize {
  readonly service: ServiceName;
}

/** Open findings of reconciliations by service, or of one service. @throws StorageError */
export async function readStoreFindings(
  database: Database,
  service?: ServiceName,
): Promise<ReadonlyMap<ServiceName, StoreFindings>> {
  const of = [service ?? null];
  const unsettled = await database.query<UnsettledRow>(UNSETTLED_BY_SERVICE, of);
  const full = await database.query<FullRow>(LAST_FULL_RUNS, of);
  const found = new Map<ServiceName, StoreFindings>();
  for (const { service: name, ...size } of full) found.set(name, { ...NOTHING_FOUND, full: size });
  for (const { service: name, ...row } of unsettled)
    found.set(name, { ...row, full: found.get(name)?.full ?? null });
  return found;
}
