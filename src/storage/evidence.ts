import type { ReplicaId, ServiceName } from '../domain/ids.ts';
import type { Evidence } from '../engine/evidence/confidence.ts';
import type { GuardCounts } from '../engine/guard/guard-counts.ts';
import type { EvidenceStore, MinuteStore } from '../engine/guard/guard-ports.ts';
import type { ReleaseStore } from '../engine/evidence/orchestrator-release.ts';
import type { Database } from './database.ts';

const ADD_EVIDENCE = `
insert into evidence (service, action, digest, comparable, errors, mismatches, lane_comparable, lane_mismatches)
select * from unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[])
on conflict (service, action, digest) do update set
  comparable = evidence.comparable + excluded.comparable,
  errors = evidence.errors + excluded.errors,
  mismatches = evidence.mismatches + excluded.mismatches,
  lane_comparable = evidence.lane_comparable + excluded.lane_comparable,
  lane_mismatches = evidence.lane_mismatches + excluded.lane_mismatches`;

const EVIDENCE = `
select action, digest, comparable, errors, mismatches,
  lane_comparable as "laneComparable", lane_mismatches as "laneMismatches"
from evidence where service = $1`;

/** Evidence in PostgreSQL. */
export function createEvidenceStore(database: Database): EvidenceStore {
  return {
    async add(rows) {
      await database.query(ADD_EVIDENCE, [
        rows.map(({ service }) => service),
        rows.map(({ action }) => action),
        rows.map(({ digest }) => digest),
        rows.map(({ evidence }) => evidence.comparable),
        rows.map(({ evidence }) => evidence.errors),
        rows.map(({ evidence }) => evidence.mismatches),
        rows.map(({ evidence }) => evidence.laneComparable),
        rows.map(({ evidence }) => evidence.laneMismatches),
      ]);
    },
    async of(service, digestOf) {
      const rows = await database.query<Evidence & { readonly action: string; readonly digest: string }>(
        EVIDENCE,
        [service],
      );
      const present = rows.filter(({ action, digest }) => digest === digestOf(action));
      return new Map(present.map(({ action, digest: _digest, ...evidence }) => [action, evidence]));
    },
  };
}

interface MinuteRowStored {
  readonly minute: Date;
  readonly service: ServiceName;
  readonly action: string;
  readonly replica: ReplicaId;
  readonly counts: GuardCounts;
}

/** Statistics by minute in PostgreSQL. */
export function createMinuteStore(database: Database): MinuteStore {
  return {
    async write(replica, rows) {
      await database.query(
        `insert into guard_minutes (minute, service, action, counts, replica)
         select minute, service, action, counts::jsonb, $5::uuid
         from unnest($1::timestamptz[], $2::text[], $3::text[], $4::text[]) as t(minute, service, action, counts)
         on conflict (service, action, minute, replica) do update set counts = excluded.counts, updated_at = now()`,
        [
          rows.map(({ minuteMs }) => new Date(minuteMs).toISOString()),
          rows.map(({ service }) => service),
          rows.map(({ action }) => action),
          rows.map(({ counts }) => JSON.stringify(counts)),
          replica,
        ],
      );
    },
    async since(fromMs) {
      const rows = await database.query<MinuteRowStored>(
        'select minute, service, action, replica, counts from guard_minutes where minute >= $1 order by minute',
        [new Date(fromMs).toISOString()],
      );
      return rows.map(({ minute, ...row }) => ({ ...row, minuteMs: minute.getTime() }));
    },
    async prune(beforeMs) {
      await database.query('delete from guard_minutes where minute < $1', [new Date(beforeMs).toISOString()]);
    },
  };
}

const LAST = 'select number, version from orchestrator_releases order by number desc limit 1';

/** If two replicas see a version at once, they write it twice, and the later number counts. */
const SEEN = `
insert into orchestrator_releases (version)
select $1 where $1 is distinct from (select version from orchestrator_releases order by number desc limit 1)`;

/** Versions of the orchestrator in PostgreSQL. */
export function createReleaseStore(database: Database): ReleaseStore {
  const last = async (): Promise<number> => (await database.query<{ number: number }>(LAST))[0]?.number ?? 0;
  return {
    last,
    async seen(version) {
      await database.query(SEEN, [version]);
      return last();
    },
  };
}
