import { parseLaneKey, type LaneKey, type ServiceName } from '../domain/ids.ts';
import {
  FIRST_LANE_HOURS,
  type FlipHold,
  type FlipShare,
  type FlipShareStore,
} from '../engine/ports/flip-ports.ts';
import { addAudit } from './audit.ts';
import type { Database } from './database.ts';

const SHARES = 'select service, number, percentage, version from flip_shares';

const FIRST = `
insert into flip_shares (service, number, percentage, version) values ($1, 1, $2, $3) on conflict do nothing returning service`;

/** A flip holds the row until it has committed, so the next statement sees every lane that moved under the share. */
export const LOCK_SHARE = 'select from flip_shares where service = $1 for update';

/** A flipped lane, `l`, in the order of its service. One that was flipped without a row counts as the last. */
const BUCKET = `
coalesce((select f.bucket from flips f where f.lane_id = l.id and f.epoch = l.epoch), 100)`;

const RESIZE = `
update flip_shares set percentage = $2, number = number + 1, at = now()
where service = $1 and percentage <> $2 and not exists (
  select from lanes l where l.service = $1 and l.primary_backend = 'orchestrator' and ${BUCKET} > $2)`;

const AGREE = `
update flip_shares set version = $2, number = number + 1, at = now()
where service = $1 and version <> $2 and not exists (
  select from replicas r where (r.services is null or $1 = any(r.services)) and r.versions ->> $1 is distinct from $2)`;

const HOLD = `
insert into flip_holds (service, person, reason) values ($1, $2, $3) on conflict do nothing returning id`;

const LIFT = `
update flip_holds set lifted_at = now(), lifted_by = $2, lift_reason = $3 where service = $1 and lifted_at is null returning id`;

const HELD = 'select service, person, reason, at from flip_holds where lifted_at is null';

/** A flip of the lane that goes first holds the row until it has committed, so the next statement sees the flipped lane. */
const LOCK_FIRST = 'select from first_lanes where service = $1 for update';

const NAME_FIRST = `
insert into first_lanes as f (service, lane, person, reason)
select $1, $2, $3, $4 where not exists (select from lanes l where l.service = $1 and l.primary_backend = 'orchestrator')
on conflict (service) do update set lane = excluded.lane, person = excluded.person, reason = excluded.reason, at = now()
returning service`;

/** A lane, `f`, that was named not too long ago. */
export const IS_NAMED_LATELY = `f.at > now() - interval '${FIRST_LANE_HOURS} hours'`;

const FIRST_LANE = `
select f.lane, f.person, f.reason, f.at from first_lanes f where f.service = $1 and ${IS_NAMED_LATELY}`;

/** The shares of lanes that may be flipped, and what people decided about flips, in PostgreSQL. */
export function createFlipShareStore(database: Database): FlipShareStore {
  const audited = (command: string, change: string): FlipShareStore['lift'] =>
    async function decide(service, { person, reason }) {
      return database.transaction(async (session) => {
        const changed = await session.query(change, [service, person, reason]);
        if (changed.length === 0) return false;
        await addAudit(session, { person, command, service, reason, details: {} });
        return true;
      });
    };
  const hold = audited('flips hold', HOLD);
  return {
    async shares() {
      const rows = await database.query<FlipShare & { readonly service: ServiceName }>(SHARES);
      return new Map(rows.map(({ service, ...share }) => [service, share]));
    },
    async resize(service, percentage, version) {
      await database.transaction(async (session) => {
        if ((await session.query(FIRST, [service, percentage, version])).length > 0) return;
        await session.query(LOCK_SHARE, [service]);
        await session.query(RESIZE, [service, percentage]);
      });
    },
    async agree(service, version) {
      await database.query(AGREE, [service, version]);
    },
    async hold(service, by) {
      await hold(service, by);
    },
    lift: audited('flips lift', LIFT),
    async held() {
      const rows = await database.query<{ service: ServiceName; person: string; reason: string; at: Date }>(
        HELD,
      );
      return new Map<ServiceName, FlipHold>(
        rows.map(({ service, person, reason, at }) => [service, { person, reason, atMs: at.getTime() }]),
      );
    },
    ...firstLanes(database),
  };
}

function firstLanes(database: Database): Pick<FlipShareStore, 'nameFirst' | 'firstLane'> {
  return {
    nameFirst: (lane, { person, reason }) =>
      database.transaction(async (session) => {
        const { service } = parseLaneKey(lane);
        await session.query(LOCK_FIRST, [service]);
        const named = await session.query(NAME_FIRST, [service, lane, person, reason]);
        if (named.length === 0) return false;
        await addAudit(session, { person, command: 'flips first', service, reason, details: { lane } });
        return true;
      }),
    async firstLane(service) {
      const [row] = await database.query<{ lane: LaneKey; person: string; reason: string; at: Date }>(
        FIRST_LANE,
        [service],
      );
      return row && { lane: row.lane, person: row.person, reason: row.reason, atMs: row.at.getTime() };
    },
  };
}
