import type { ServiceName } from '../../domain/ids.ts';
import type { ItemFinding } from '../../engine/runs/attribute.ts';
import type {
  DecidedBy,
  LostAs,
  LostItem,
  LostItemName,
  LostItemStore,
} from '../../engine/ports/lost-items.ts';
import type {
  Acceptance,
  Divergence,
  DivergenceStore,
  LaneFinding,
  RepairStep,
  RepairStore,
} from '../../engine/runs/divergence-ports.ts';
import { addAudit } from '../audit.ts';
import type { Database, Session } from '../database.ts';
import type { Seal } from '../seal.ts';
import { ON_LEGACY, readStoreFindings, STANDING, WAITING as WAITING_STATES } from './standing.ts';

/** Lost items of a lane without a decision. */
const WAITING_LOST = 'select from lost_items l where l.service = $1 and l.owner = $2 and l.decision is null';

const COLUMNS = 'id, run_id as run, service, owner, found_at, findings, before, after, state';

/** Settles the open findings of lanes, so that their reads may move again. Like the end of a copy, it locks the lanes first, in lane order. */
const resolveLanes = (owners: string, state: string): string => `locked as (
  select id from lanes where key in (
    select d.service || '/' || d.owner from divergences d
    where d.service = $1 and d.owner = any(${owners}) and d.state in ${STANDING})
  order by key for no key update
), resolved as (
  update divergences set state = ${state}, resolved_at = now()
  where service = $1 and owner = any(${owners}) and state in ${STANDING} and (select count(*) from locked) >= 0
)
update lanes set finding = -abs(finding) from locked where lanes.id = locked.id
returning lanes.owner, lanes.finding`;

const RESOLVE = `with ${resolveLanes('array[$2::text]', '$3')}`;

const UNDO_LAST = `
update divergences set state = 'undone', resolved_at = now()
where id = (select max(id) from divergences where service = $1 and owner = $2 and state = 'repaired')`;

/** Findings that do not fence the lane: see the column `divergences.differing`. */
const NO_FENCE: ReadonlySet<ItemFinding['kind']> = new Set(['lost', 'not_seeded']);

/**
 * The lane is locked first. A comparison from before its last copy or flip is outdated, and the second of two concurrent writers must see
 * what the first wrote. In a flipped lane the difference counts against legacy, and the lane's finding stays resolved.
 */
const ADD = `
with lane as (
  select id, generation, epoch, primary_backend from lanes where key = $2::text || '/' || $3::text for no key update
), accepted as (
  select accepted_by, accepted_reason from divergences
  where service = $2 and owner = $3 and state = 'accepted' and findings = $4::jsonb and $8 = 'open'
), resolved as (
  update divergences set state = 'gone', resolved_at = now()
  where service = $2 and owner = $3 and state in ${STANDING}
), added as (
  insert into divergences (run_id, service, owner, findings, before, after, differing, state, resolved_at, accepted_by, accepted_reason)
  select $1::bigint, $2::text, $3::text, $4::jsonb, $5::jsonb, $6::jsonb, $7::int, found.state,
    case when found.state = any(array['open', 'lost', ${ON_LEGACY}]) then null else now() end,
    (select accepted_by from accepted), (select accepted_reason from accepted)
  from (select case
    when exists (select from lane where generation <> $9::bigint or epoch <> $10::bigint) then 'gone'
    when exists (select from accepted) then 'accepted'
    when exists (select from lane where primary_backend = 'orchestrator') then ${ON_LEGACY}
    else $8::text end as state) as found
  returning id, state, differing
)
update lanes set finding = case when added.state = any(array['open', 'lost']) and added.differing > 0 then added.id else -abs(finding) end
from lane cross join added where lanes.id = lane.id
returning lanes.owner, lanes.finding`;

/** Lost items without a decision cannot be accepted as a whole. */
const ACCEPT_DIFFERENCE = `
with locked as (
  select id from lanes where key = $1::text || '/' || $2::text for no key update
), accepted as (
  update divergences set state = 'accepted', resolved_at = now(), accepted_by = $3, accepted_reason = $4
  where service = $1 and owner = $2 and state in ${WAITING_STATES} and not exists (${WAITING_LOST})
    and (select count(*) from locked) >= 0
  returning id, run_id, jsonb_array_length(findings) as findings
), moved as (
  update lanes set finding = -abs(finding) from locked where lanes.id = locked.id and exists (select from accepted)
  returning finding
)
select run_id as run, findings, coalesce((select finding from moved), 0) as finding from accepted order by id desc`;

const OPEN = `
select ${COLUMNS} from divergences
where run_id = $1 and ($2::text is null or service = $2) and state = 'open' order by id`;

/** A new finding resolves the earlier open finding of its lane at the same moment. */
const OF_RUN = `
select ${COLUMNS}, (select max(run_id) from divergences later where later.service = one.service
  and later.owner = one.owner and later.found_at = one.resolved_at and later.run_id > one.run_id
  and one.state = 'gone') as "foundAgainBy"
from divergences one where run_id = $1 order by id limit $2`;

/** Closes the open findings of lanes that are equal again: differences are gone, and lost items have returned. */
const EQUAL = `
with returned as (
  update lost_items set decision = 'returned', decided_at = now()
  where service = $1 and owner = any($2::text[]) and decision is null
), ${resolveLanes('$2::text[]', "'gone'")}`;

type Row = Omit<Divergence, 'foundAtMs'> & { readonly found_at: Date };

function divergenceOf({ found_at, ...row }: Row): Divergence {
  return { ...row, foundAtMs: found_at.getTime() };
}

type ChangedRow = Omit<LaneFinding, 'service'>;

export function createDivergenceStore(database: Database): DivergenceStore {
  const changed = async (
    service: ServiceName,
    sql: string,
    parameters: readonly unknown[],
  ): Promise<readonly LaneFinding[]> =>
    (await database.query<ChangedRow>(sql, parameters)).map((row) => ({ service, ...row }));
  return {
    add(run, { service, owner, findings, before, after, state, generation, epoch }) {
      const facts = [findings, before, after].map((fact) => JSON.stringify(fact));
      const differing = findings.filter(({ kind }) => !NO_FENCE.has(kind)).length;
      return changed(service, ADD, [run, service, owner, ...facts, differing, state, generation, epoch]);
    },
    equal: (service, owners) => changed(service, EQUAL, [service, owners]),
    async open(run, service) {
      return (await database.query<Row>(OPEN, [run, service ?? null])).map(divergenceOf);
    },
    async ofRun(run, limit) {
      return (await database.query<Row>(OF_RUN, [run, limit])).map(divergenceOf);
    },
    resolve: (service, owner, state) => changed(service, RESOLVE, [service, owner, state]),
    accept: (service, owner, by) =>
      database.transaction((session) => accept(session, { service, owner, by })),
    async undone(service, owner) {
      await database.query(UNDO_LAST, [service, owner]);
    },
    standing: () => readStoreFindings(database),
  };
}

async function accept(
  session: Session,
  { service, owner, by }: Pick<LaneFinding, 'service' | 'owner'> & { readonly by: DecidedBy },
): Promise<Acceptance> {
  const parameters = [service, owner, by.person, by.reason];
  const [row] = await session.query<{ run: number; findings: number; finding: number }>(
    ACCEPT_DIFFERENCE,
    parameters,
  );
  if (row === undefined) {
    const lost = await session.query(WAITING_LOST, [service, owner]);
    return { result: lost.length > 0 ? 'lost_first' : 'none' };
  }
  const { finding, ...found } = row;
  await addAudit(session, { ...by, command: 'repair accept', service, details: { owner, ...found } });
  return { result: 'accepted', ...found, lane: { service, owner, finding } };
}

/** A decision applies to the item as it was. Another item with the same id needs its own decision. */
const FOUND = `
insert into lost_items as l (service, owner, memory_id, digest, position, stored_at, shape)
select $1, $2, memory_id, digest, position, stored_at, shape
from unnest($3::text[], $4::text[], $5::bigint[], $6::timestamptz[], $7::text[])
  as t(memory_id, digest, position, stored_at, shape)
on conflict (service, owner, memory_id) do update
set digest = excluded.digest, position = excluded.position, stored_at = excluded.stored_at, shape = excluded.shape,
  found_at = now(), decision = null, decided_at = null, decided_by = null, reason = null
where l.decision in ('returned', 'restored') or l.digest <> excluded.digest
  or l.position is distinct from excluded.position`;

const WAITING = `
select service, owner, memory_id, digest, position, stored_at, shape, found_at from lost_items where decision is null`;
const IN_ORDER = 'order by service, owner, position nulls last, memory_id';

type LostRow = Omit<LostItem, 'foundAtMs' | 'memoryId' | 'storedAt'> & {
  readonly memory_id: string;
  readonly stored_at: Date | null;
  readonly found_at: Date;
};

function lostItemOf({ memory_id: memoryId, stored_at, found_at, ...row }: LostRow): LostItem {
  return { ...row, memoryId, storedAt: stored_at?.toISOString() ?? null, foundAtMs: found_at.getTime() };
}

/** Longer than the longest write of legacy. */
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
        items.map(({ storedAt = null }) => storedAt),
        items.map(({ shape = null }) => shape),
      ]);
    },
    async open(limit) {
      return (await database.query<LostRow>(`${WAITING} ${IN_ORDER} limit $1`, [limit])).map(lostItemOf);
    },
    async waiting(service, owner) {
      const ofLane = `${WAITING} and service = $1 and owner = $2 ${IN_ORDER}`;
      return (await database.query<LostRow>(ofLane, [service, owner])).map(lostItemOf);
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

/** The changes of repairs. The writes that revert them contain content, so they are sealed. */
export function createRepairStore(database: Database, seal: Seal): RepairStore {
  return {
    async add({ run, service, owner, inverse, sequence }) {
      // A resumed repair checks lanes again that it has already changed, so only the first inverse is complete.
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
