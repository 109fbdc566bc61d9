import type { ProvenBy, ReverseProofs } from '../engine/ports/reverse-ports.ts';
import type { Database } from './database.ts';

const PROVED = `
insert into reverse_proofs (service, by) values ($1, $2)
on conflict (service, by) do update set proven_at = now()`;

const PROVEN_AT = `
select by, (extract(epoch from proven_at) * 1000)::float8 as "atMs" from reverse_proofs
where service = $1 order by proven_at desc limit 1`;

const CLAIM_CANARY = `
insert into canary_runs (service) values ($1)
on conflict (service) do update set begun_at = now() where canary_runs.begun_at < now() - interval '10 minutes'
returning service`;

/** Proofs of the way back in PostgreSQL. */
export function createReverseProofs(database: Database): ReverseProofs {
  return {
    async proved(service, by) {
      await database.query(PROVED, [service, by]);
    },
    async provenAt(service) {
      const [row] = await database.query<{ by: ProvenBy; atMs: number }>(PROVEN_AT, [service]);
      return row;
    },
    async claimCanary(service) {
      return (await database.query(CLAIM_CANARY, [service])).length > 0;
    },
  };
}
