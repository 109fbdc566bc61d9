import type { ReplicaId, ServiceName } from '../domain/ids.ts';
import type { ActionArmCounts, ArmStore, StoredArmSlice } from '../engine/evidence/arm-intervals.ts';
import type { Database } from './database.ts';

const WRITE = `
insert into ab_slices (began_at, service, action, counts, replica)
select began_at, service, action, counts::jsonb, $5::uuid
from unnest($1::timestamptz[], $2::text[], $3::text[], $4::text[]) as t(began_at, service, action, counts)
on conflict (service, began_at, action, replica) do update set counts = excluded.counts, written_at = now()`;

interface Row {
  readonly began_at: Date;
  readonly service: ServiceName;
  readonly action: string;
  readonly replica: ReplicaId;
  readonly counts: ActionArmCounts;
}

const COLUMNS = 'began_at, service, action, replica, counts';

const isoOf = (ms: number): string => new Date(ms).toISOString();

/** Latencies and failures of reads by backend, in PostgreSQL. */
export function createArmStore(database: Database): ArmStore {
  const slices = async (where: string, parameters: readonly unknown[]): Promise<StoredArmSlice[]> => {
    const rows = await database.query<Row>(`select ${COLUMNS} from ab_slices where ${where}`, parameters);
    return rows.map(({ began_at, ...row }) => ({ ...row, beganAtMs: began_at.getTime() }));
  };
  return {
    async write(replica, written) {
      await database.query(WRITE, [
        written.map(({ beganAtMs }) => isoOf(beganAtMs)),
        written.map(({ service }) => service),
        written.map(({ action }) => action),
        written.map(({ counts }) => JSON.stringify(counts)),
        replica,
      ]);
    },
    ofOthers: (replica, { fromMs, writtenWithinMs }) =>
      slices(`began_at >= $1 and replica <> $2 and written_at > now() - $3 * interval '1 millisecond'`, [
        isoOf(fromMs),
        replica,
        writtenWithinMs,
      ]),
    ofDay: (service, { fromMs, toMs }) =>
      slices('service = $1 and began_at >= $2 and began_at < $3', [service, isoOf(fromMs), isoOf(toMs)]),
    async prune(beforeMs) {
      await database.query('delete from ab_slices where began_at < $1', [isoOf(beforeMs)]);
    },
  };
}
