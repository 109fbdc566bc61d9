import type { Backend } from '../domain/backend.ts';
import type { Comparison } from '../domain/comparison.ts';
import type { LaneKey, OperationId, ServiceName } from '../domain/ids.ts';
import type { JudgedWith } from '../engine/compare/compare-replies.ts';
import type {
  DifferenceQuery,
  DifferenceSample,
  DifferenceStore,
  StoredDifference,
} from '../engine/compare/comparison-stores.ts';
import type { Database } from './database.ts';
import type { Seal } from './seal.ts';

/** Number of the newest differences that are kept for each service. */
const KEPT = 10_000;
const TRIM_EVERY = 500;

interface DifferenceSettings {
  readonly database: Database;
  readonly seal: Seal;
  /** How many hours the compared texts are kept; 0 keeps none. @defaultValue 0 */
  readonly sampleHours?: number;
}

/** Reads differences to compare them again under other rules. */
export interface DifferenceArchive extends DifferenceStore {
  /** Newest first. @throws StorageError */
  find(service: ServiceName, query: DifferenceQuery): Promise<readonly StoredDifference[]>;
  /** Newest first, each with its sample if one is kept. Returns at most 16 MiB of samples. @throws StorageError */
  withSamples(service: ServiceName, limit: number): Promise<readonly StoredDifference[]>;
}

interface Row {
  readonly id: number;
  readonly at: Date;
  readonly service: string;
  readonly action: string;
  readonly lane: string;
  readonly operation_id: string;
  readonly primary_backend: string;
  readonly comparison: Comparison;
  readonly judged_with: JudgedWith | null;
  readonly body?: string | null;
}

const ADD = `
  insert into differences (at, service, action, lane, operation_id, primary_backend, comparison, judged_with)
  values ($1, $2, $3, $4, $5, $6, $7::jsonb, $8::jsonb)`;

const ADD_WITH_SAMPLE = `
  with added as (${ADD} returning id)
  insert into difference_samples (difference_id, expires_at, body)
  select id, now() + make_interval(hours => $9::int), $10 from added`;

/** Limits the work, because the same proxy also serves agents. */
const MOST_SAMPLE_BYTES = 16 * 1024 * 1024;
const WITH_SAMPLES = `
  select d.*, case when sum(octet_length(s.body)) over (order by d.id desc) <= $3 then s.body end as body
  from (select * from differences where service = $1 order by id desc limit $2) d
  left join difference_samples s on s.difference_id = d.id and s.expires_at > now()
  order by d.id desc`;

const FIND = `
  select * from differences where service = $1
    and ($3::text is null or action = $3) and ($4::text is null or lane = $4)
    and ($5::text is null and $6::text is null or exists (
      select from jsonb_array_elements(comparison -> 'differences') d
      where ($5::text is null or d ->> 'path' = $5) and ($6::text is null or d ->> 'class' = $6)))
    and ($7::timestamptz is null or at >= $7) and ($8::bigint is null or id < $8)
  order by id desc limit $2`;

/** Differences in PostgreSQL, already redacted. The compared texts are stored too if the operator has enabled samples. */
export function createDifferenceStore({
  database,
  seal,
  sampleHours = 0,
}: DifferenceSettings): DifferenceArchive {
  let added = 0;
  return {
    async add(difference) {
      const { sample } = difference;
      const isKept = sampleHours > 0 && sample !== undefined;
      const values = valuesOf(difference);
      if (isKept)
        await database.query(ADD_WITH_SAMPLE, [...values, sampleHours, seal.seal(JSON.stringify(sample))]);
      else await database.query(ADD, values);
      added += 1;
      if (added % TRIM_EVERY === 0) await trim(database, difference.service);
    },
    async recent(service, limit) {
      const rows = await database.query<Row>(
        'select * from differences where service = $1 order by id desc limit $2',
        [service, limit],
      );
      return rows.map(differenceOf);
    },
    async find(service, { limit, action = null, lane = null, path = null, sinceMs, before = null, ...more }) {
      const since = sinceMs === undefined ? null : new Date(sinceMs).toISOString();
      const parameters = [service, limit, action, lane, path, more.class ?? null, since, before];
      const rows = await database.query<Row>(FIND, parameters);
      return rows.map(differenceOf);
    },
    async withSamples(service, limit) {
      const rows = await database.query<Row>(WITH_SAMPLES, [service, limit, MOST_SAMPLE_BYTES]);
      return rows.map((row) => {
        const body = row.body ?? undefined;
        const difference = differenceOf(row);
        return body === undefined
          ? difference
          : { ...difference, sample: JSON.parse(seal.open(body)) as DifferenceSample };
      });
    },
  };
}

function valuesOf(difference: StoredDifference): readonly unknown[] {
  const { atMs, service, action, lane, operationId, primary, comparison, judgedWith } = difference;
  const at = new Date(atMs).toISOString();
  const judged = judgedWith === undefined ? null : JSON.stringify(judgedWith);
  return [at, service, action, lane, operationId, primary, JSON.stringify(comparison), judged];
}

/** Deletes the oldest differences, and expired samples. */
async function trim(database: Database, service: ServiceName): Promise<void> {
  await database.query('delete from difference_samples where expires_at <= now()');
  await database.query(
    `delete from differences where service = $1 and id <= (
       select id from differences where service = $1 order by id desc offset $2 limit 1)`,
    [service, KEPT],
  );
}

function differenceOf(row: Row): StoredDifference {
  return {
    id: row.id,
    atMs: row.at.getTime(),
    service: row.service as ServiceName,
    action: row.action,
    lane: row.lane as LaneKey,
    operationId: row.operation_id as OperationId,
    primary: row.primary_backend as Backend,
    comparison: row.comparison,
    ...(row.judged_with !== null && { judgedWith: row.judged_with }),
  };
}
