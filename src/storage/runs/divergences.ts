import type { Owner, ServiceName } from '../../domain/ids.ts';
import type {
  DecidedBy,
  Divergence,
  DivergenceStore,
  LostAs,
  LostItem,
  LostItemName,
  LostItemStore,
  RepairStep,
  RepairStore,
} from '../../migration/reconciliation/divergence-ports.ts';
import { addAudit } from '../audit.ts';
import type { Database } from '../database.ts';
import type { Seal } from '../seal.ts';

const COLUMNS = 'id, run_id as run, service, owner, found_at, findings, before, after, state';

const SETTLE_OPEN = `
update divergences set state = $3, settled_at = now()
where service = $1 and owner = any($2::text[]) and state in ('open', 'lost')`;

const UNDO_LAST = `
update divergences set state = 'undone', settled_at = now()
where id = (select max(id) from divergences where service = $1 and owner = $2 and state = 'repaired')`;

const ADD = `
insert into divergences (run_id, service, owner, findings, before, after, state)
values ($1, $2, $3, $4::jsonb, $5::jsonb, $6::jsonb, $7)`;

const OPEN = `
select ${COLUMNS} from divergences
where run_id = $1 and ($2::text is null or service = $2) and state = 'open' order by id`;

/** What is found unequal again settles what was open of its lane, at the same moment. */
const OF_RUN = `
select ${COLUMNS}, (select max(run_id) from divergences later where later.service = one.service
  and later.owner = one.owner and later.found_at = one.settled_at and one.state = 'gone') as "foundAgainBy"
from divergences one where run_id = $1 order by id limit $2`;

/** What was open of lanes that are equal again: differences have gone, and lost items have returned. */
const EQUAL = `
with gone as (
  update divergences set state = 'gone', settled_at = now()
  where service = $1 and owner = any($2::text[]) and state in ('open', 'lost'))
update lost_items set decision = 'returned', decided_at = now()
where service = $1 and owner = any($2::text[]) and decision is null`;

type Row = Omit<Divergence, 'foundAtMs'> & { readonly found_at: Date };

function divergenceOf({ found_at, ...row }: Row): Divergence {
  return { ...row, foundAtMs: found_at.getTime() };
}

export function createDivergenceStore(database: Database): DivergenceStore {
  return {
    add: (run, { service, owner, findings, before, after, state }) =>
      database.transaction(async (session) => {
        await session.query(SETTLE_OPEN, [service, [owner], 'gone']);
        const facts = [findings, before, after].map((fact) => JSON.stringify(fact));
        await session.query(ADD, [run, service, owner, ...facts, state]);
      }),
    async equal(service: ServiceName, owners: readonly Owner[]) {
      await database.query(EQUAL, [service, owners]);
    },
    async open(run, service) {
      return (await database.query<Row>(OPEN, [run, service ?? null])).map(divergenceOf);
    },
    async ofRun(run, limit) {
      return (await database.query<Row>(OF_RUN, [run, limit])).map(divergenceOf);
    },
    async settle(service, owner, state) {
      await database.query(SETTLE_OPEN, [service, [owner], state]);
    },
    async undone(service, owner) {
      await database.query(UNDO_LAST, [service, owner]);
    },
  };
}

/** What was decided holds for the item as it was: another that has its id waits for a decision of its own. */
const FOUND = `
insert into lost_items as l (service, owner, memory_id, digest, position)
select $1, $2, memory_id, digest, position from unnest($3::text[], $4::text[], $5::bigint[]) as t(memory_id, digest, position)
on conflict (service, owner, memory_id) do update
set digest = excluded.digest, position = excluded.position, found_at = now(),
  decision = null, decided_at = null, decided_by = null, reason = null
where l.decision = 'returned' or l.digest <> excluded.digest or l.position is distinct from excluded.position`;

type LostRow = Omit<LostItem, 'foundAtMs' | 'memoryId'> & {
  readonly memory_id: string;
  readonly found_at: Date;
};

/** Longer than legacy may take for a write. */
const WAITS = `service = $1 and owner = $2 and memory_id = $3 and decision is null
  and (restoring_since is null or restoring_since < now() - interval '1 minute')`;

const ACCEPT = `
update lost_items set decision = 'accepted', decided_at = now(), decided_by = $4, reason = $5, restoring_since = null
where ${WAITS} returning memory_id`;

const BEGIN_RESTORING = `
update lost_items set restoring_since = now(), decided_by = $4, reason = $5 where ${WAITS} returning memory_id`;

const RESTORING_SINCE = `
select restoring_since as since from lost_items
where service = $1 and owner = $2 and memory_id = $3 and decision is null and restoring_since is not null`;

const END_RESTORING = `
update lost_items set restoring_since = null,
  decision = case when $4::boolean then 'restored' end, decided_at = case when $4::boolean then now() end
where service = $1 and owner = $2 and memory_id = $3 and restoring_since is not null`;

interface Decision {
  readonly item: LostItemName;
  readonly by: DecidedBy;
}

export function createLostItemStore(database: Database): LostItemStore {
  const decide = (sql: string, command: string, { item, by }: Decision): Promise<boolean> =>
    database.transaction(async (session) => {
      const { service, owner, memoryId } = item;
      const decided = await session.query(sql, [service, owner, memoryId, by.person, by.reason]);
      if (decided.length === 0) return false;
      await addAudit(session, { ...by, command, service, details: { owner, memory_id: memoryId } });
      return true;
    });
  return {
    async found(service, owner, items) {
      await database.query(FOUND, [
        service,
        owner,
        items.map(({ memoryId }) => memoryId),
        items.map(({ digest }) => digest),
        items.map(({ position }) => position),
      ]);
    },
    async open(limit) {
      const rows = await database.query<LostRow>(
        `select service, owner, memory_id, digest, position, found_at from lost_items where decision is null
         order by found_at, service, owner, memory_id limit $1`,
        [limit],
      );
      return rows.map(({ memory_id: memoryId, found_at, ...row }) => ({
        ...row,
        memoryId,
        foundAtMs: found_at.getTime(),
      }));
    },
    decided(service, owner) {
      return database.query<LostAs>(
        `select memory_id as "memoryId", digest, position from lost_items
         where service = $1 and owner = $2 and decision in ('accepted', 'restored')`,
        [service, owner],
      );
    },
    accept: (item, by) => decide(ACCEPT, 'lost accepted', { item, by }),
    beginRestoring: (item, by) => decide(BEGIN_RESTORING, 'lost restored', { item, by }),
    async restoringSinceMs({ service, owner, memoryId }) {
      const [row] = await database.query<{ since: Date }>(RESTORING_SINCE, [service, owner, memoryId]);
      return row?.since.getTime();
    },
    async endRestoring({ service, owner, memoryId }, isRestored) {
      await database.query(END_RESTORING, [service, owner, memoryId, isRestored]);
    },
  };
}

/** What repairs changed; what puts it back holds content, and is sealed. */
export function createRepairStore(database: Database, seal: Seal): RepairStore {
  return {
    async add({ run, service, owner, inverse, sequence }) {
      // A repair that was interrupted looks again at what it has changed already: the first inverse is the whole one.
      await database.query(
        `insert into repair_steps (run_id, service, owner, inverse, sequence) values ($1, $2, $3, $4, $5)
         on conflict do nothing`,
        [run, service, owner, seal.seal(inverse), sequence],
      );
    },
    async steps(run) {
      const rows = await database.query<RepairStep>(
        `select run_id as run, service, owner, inverse, sequence from repair_steps
         where run_id = $1 and undone_at is null order by at desc`,
        [run],
      );
      return rows.map((row) => ({ ...row, inverse: seal.open(row.inverse) }));
    },
    async isOpen({ run, service, owner }) {
      const rows = await database.query(
        'select from repair_steps where run_id = $1 and service = $2 and owner = $3 and undone_at is null',
        [run, service, owner],
      );
      return rows.length > 0;
    },
    async undone({ run, service, owner }) {
      await database.query(
        'update repair_steps set undone_at = now() where run_id = $1 and service = $2 and owner = $3',
        [run, service, owner],
      );
    },
  };
}
