import type { KeptRead, KeptReadStore } from '../engine/shadow/repeated-reads.ts';
import type { Database } from './database.ts';
import type { Seal } from './seal.ts';

const KEEP_DAYS = 7;
/** Limit for each service. */
const MOST_READS = 5_000;
const MOST_BYTES = 16 * 1024 * 1024;

const KEEP = `
insert into kept_reads (service, digest, lane, action, request)
select * from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[]) as t(service, digest, lane, action, request)
order by 1, 2
on conflict (service, digest) do update set last_at = now()`;

const PRUNE = `
delete from kept_reads k using (
  select service, digest, last_at,
    row_number() over newest as place, sum(octet_length(request)) over newest as bytes
  from kept_reads where service = any($1::text[])
  window newest as (partition by service order by last_at desc, digest)
) old
where k.service = old.service and k.digest = old.digest
  and (old.place > $2 or old.bytes > $3 or old.last_at < now() - make_interval(days => $4))`;

const STATE = `l.generation || '.' || l.sequence || ' ' || coalesce($2::jsonb ->> k.action, '')`;

const NEXT = `
with due as (
  select k.service, k.digest, ${STATE} as state from kept_reads k join lanes l on l.key = k.lane
  where k.service = $1 and l.primary_backend = 'legacy' and l.condition = 'clean' and l.exceptions = 0 and l.delivered_sequence >= l.sequence
    and k.last_at between now() - make_interval(days => $3) and now() - make_interval(secs => $4)
    and k.asked_for is distinct from ${STATE}
  order by k.asked_at nulls first, k.last_at desc limit 1
  for update of k skip locked
)
update kept_reads k set asked_for = due.state, asked_at = now() from due
where k.service = due.service and k.digest = due.digest
returning k.request`;

/** A read that an agent sent recently was compared at that time. */
const REST_SECONDS = 60;

/**
 * Kept reads in PostgreSQL.
 * @param restSeconds how long a read rests after an agent has sent it. @defaultValue 60
 */
export function createKeptReadStore(
  database: Database,
  seal: Seal,
  restSeconds = REST_SECONDS,
): KeptReadStore {
  return {
    async keep(reads: readonly KeptRead[]) {
      await database.query(KEEP, [
        reads.map(({ service }) => service),
        reads.map(({ digest }) => digest),
        reads.map(({ lane }) => lane),
        reads.map(({ action }) => action),
        reads.map(({ request }) => seal.seal(request)),
      ]);
      const services = [...new Set(reads.map(({ service }) => service))];
      await database.query(PRUNE, [services, MOST_READS, MOST_BYTES, KEEP_DAYS]);
    },
    async next(service, versions) {
      const [row] = await database.query<{ request: string }>(NEXT, [
        service,
        JSON.stringify(versions),
        KEEP_DAYS,
        restSeconds,
      ]);
      return row && { request: seal.open(row.request) };
    },
  };
}
