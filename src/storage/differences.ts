import type { Backend } from '../domain/backend.ts';
import type { Comparison } from '../domain/comparison.ts';
import type { LaneKey, OperationId } from '../domain/ids.ts';
import type { DifferenceStore, StoredDifference } from '../migration/ports.ts';
import type { Database } from './database.ts';

/** The newest so many differences of a service are kept. */
const KEPT = 10_000;
const TRIM_EVERY = 500;

interface Row {
  readonly at: Date;
  readonly service: string;
  readonly action: string;
  readonly lane: string;
  readonly operation_id: string;
  readonly primary_backend: string;
  readonly comparison: Comparison;
}

/** Differences in PostgreSQL, redacted before they come here. */
export function createDifferenceStore(database: Database): DifferenceStore {
  let added = 0;
  return {
    async add({ atMs, service, action, lane, operationId, primary, comparison }) {
      await database.query(
        `insert into differences (at, service, action, lane, operation_id, primary_backend, comparison)
         values ($1, $2, $3, $4, $5, $6, $7::jsonb)`,
        [
          new Date(atMs).toISOString(),
          service,
          action,
          lane,
          operationId,
          primary,
          JSON.stringify(comparison),
        ],
      );
      added += 1;
      if (added % TRIM_EVERY !== 0) return;
      await database.query(
        `delete from differences where service = $1 and id <= (
           select id from differences where service = $1 order by id desc offset $2 limit 1)`,
        [service, KEPT],
      );
    },
    async recent(service, limit) {
      const rows = await database.query<Row>(
        'select * from differences where service = $1 order by id desc limit $2',
        [service, limit],
      );
      return rows.map((row): StoredDifference => ({
        atMs: row.at.getTime(),
        service,
        action: row.action,
        lane: row.lane as LaneKey,
        operationId: row.operation_id as OperationId,
        primary: row.primary_backend as Backend,
        comparison: row.comparison,
      }));
    },
  };
}
