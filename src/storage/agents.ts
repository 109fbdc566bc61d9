import type { ServiceName } from '../domain/ids.ts';
import type { AgentDialect } from '../domain/agent-name.ts';
import type { Database } from './database.ts';

/** An agent and its requests since the last save. */
interface AskedSince {
  readonly service: ServiceName;
  readonly name: string;
  readonly dialect: AgentDialect;
  readonly requests: number;
  /** Wall clock. */
  readonly firstAtMs: number;
  readonly lastAtMs: number;
}

interface AgentRow {
  readonly service: ServiceName;
  readonly name: string;
  readonly dialect: AgentDialect;
  readonly requests: number;
  readonly first_at: Date;
  readonly last_at: Date;
}

interface WriterRow {
  readonly service: ServiceName;
  readonly writer: string | null;
  readonly lanes: number;
  readonly last_at: Date;
  readonly is_seen: boolean;
}

const WRITE = `
insert into agents as a (service, name, dialect, requests, first_at, last_at)
select service, name, dialect, requests, to_timestamp(first_ms / 1000), to_timestamp(last_ms / 1000)
from unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::float8[], $6::float8[])
  as t(service, name, dialect, requests, first_ms, last_ms)
order by service, name
on conflict (service, name) do update set
  dialect = excluded.dialect, requests = a.requests + excluded.requests,
  first_at = least(a.first_at, excluded.first_at), last_at = greatest(a.last_at, excluded.last_at)`;

const PRUNE = `
delete from agents where (service, name) in (
  select service, name from agents order by last_at desc offset $1)`;

const SEEN = `
select service, count(*) as agents from agents
where service = any($1::text[]) and last_at > now() - interval '1 hour' group by service`;

const LIST = `
select service, name, dialect, requests, first_at, last_at from agents
where service = any($1::text[]) order by last_at desc, service, name limit $2`;

/** Items on legacy that no write through the proxy explains, of the last week, by the writer that the service names. */
const PAST_THE_PROXY = `
with found as (
  select d.service, f ->> 'by' as writer, d.owner, d.found_at
  from divergences d cross join lateral jsonb_array_elements(d.findings) as f
  where d.service = any($1::text[]) and d.found_at > now() - interval '7 days'
    and f ->> 'side' = 'legacy' and f ->> 'kind' <> 'lost'
), writers as (
  select service, writer, count(distinct owner) as lanes, max(found_at) as last_at from found group by service, writer
)
select w.*, exists (select from agents a where a.service = w.service and a.name = w.writer) as is_seen
from writers w order by last_at desc limit $2`;

/** The agents of all replicas in PostgreSQL. */
export function createAgentStore(database: Database, { keep }: { readonly keep: number }) {
  return {
    async write(agents: readonly AskedSince[]): Promise<void> {
      await database.query(WRITE, [
        agents.map(({ service }) => service),
        agents.map(({ name }) => name),
        agents.map(({ dialect }) => dialect),
        agents.map(({ requests }) => requests),
        agents.map(({ firstAtMs }) => firstAtMs),
        agents.map(({ lastAtMs }) => lastAtMs),
      ]);
      await database.query(PRUNE, [keep]);
    },
    async seenLastHour(services: readonly ServiceName[]): Promise<ReadonlyMap<ServiceName, number>> {
      const rows = await database.query<{ service: ServiceName; agents: number }>(SEEN, [services]);
      return new Map(rows.map(({ service, agents }) => [service, agents]));
    },
    async list(services: readonly ServiceName[], limit: number) {
      const rows = await database.query<AgentRow>(LIST, [services, limit]);
      return rows.map(({ first_at, last_at, ...row }) => ({
        ...row,
        firstAtMs: first_at.getTime(),
        lastAtMs: last_at.getTime(),
      }));
    },
    async writersPastProxy(services: readonly ServiceName[], limit: number) {
      const rows = await database.query<WriterRow>(PAST_THE_PROXY, [services, limit]);
      return rows.map(({ last_at, is_seen: isSeen, ...row }) => ({
        ...row,
        lastAtMs: last_at.getTime(),
        isSeen,
      }));
    },
  };
}
