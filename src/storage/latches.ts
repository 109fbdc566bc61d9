import type { ReplicaId, ServiceName } from '../domain/ids.ts';
import { coolDownMs, type Finding, type Latch, NOTHING_FOUND } from '../engine/ports/finding.ts';
import type { GuardState, LatchStore, Release } from '../engine/guard/guard-ports.ts';
import type { TroubledLanes } from '../engine/guard/triggers.ts';
import { addAudit } from './audit.ts';
import type { Database, Session } from './database.ts';
import { ON_LEGACY, readStoreFindings } from './runs/standing.ts';

interface LatchRow {
  readonly id: number;
  readonly service: string;
  readonly finding: Finding;
  readonly replica: string;
  readonly tripped_at: Date;
  readonly cool_down_until: Date;
  readonly flags_off: string[] | null;
}

function latchOf(row: LatchRow): Latch {
  return {
    id: row.id,
    service: row.service as ServiceName,
    finding: row.finding,
    replica: row.replica as ReplicaId,
    trippedAtMs: row.tripped_at.getTime(),
    coolDownUntilMs: row.cool_down_until.getTime(),
    ...(row.flags_off !== null && { flagsOff: row.flags_off }),
  };
}

const COLUMNS = 'id, service, finding, replica, tripped_at, cool_down_until, flags_off';
const OPEN = `select ${COLUMNS} from latches where released_at is null order by id`;

/** If two replicas trip at once, one inserts the row and the other finds it. */
const TRIP = `
insert into latches (service, finding, replica, cool_down_until)
values ($1, $2::jsonb, $3, now() + make_interval(secs => $4)) on conflict do nothing returning ${COLUMNS}`;

const EARLIER = `
select count(*) as trips from latches where service = $1 and tripped_at > now() - interval '7 days'`;

const RELEASES = `
select service, max(released_at) as at from latches where released_at is not null group by service`;

const DEAD_LETTERS = `
select l.service, (extract(epoch from now() - min(d.at)) * 1000)::bigint as age_ms
from dead_letters d join lanes l on l.id = d.lane_id
where d.resolved_at is null group by l.service, d.lane_id`;

const LOST = `
select service, count(*) as lanes from (
  select service, owner from lanes where condition = 'stopped' and reason = 'lost'
  union select service, owner from lost_items where decision is null) as lost
group by service`;

const FLIPPED = `select count(*) as lanes from lanes where service = $1 and primary_backend = 'orchestrator'`;

const LEGACY_DIFFERS = `
select service, count(*) as lanes from divergences where state = ${ON_LEGACY} group by service`;

/** Latches in PostgreSQL. */
export function createLatchStore(database: Database): LatchStore {
  return {
    state: () => readState(database),
    trip: (finding, by) =>
      database.transaction(async (session) => {
        const [flipped] = await session.query<{ lanes: number }>(FLIPPED, [finding.service]);
        return { ...(await trip(session, finding, by)), flippedLanes: flipped?.lanes ?? 0 };
      }),
    async areFlagsDue(latch) {
      const due = await database.query(
        'select 1 from latches where id = $1 and released_at is null and flags_off is null',
        [latch],
      );
      return due.length > 0;
    },
    flagsAreOff: (latch, off) => database.transaction((session) => writeFlagsOff(session, latch, off)),
    release: (service, { person, reason }) =>
      database.transaction(async (session): Promise<Release> => {
        const latch = await openLatch(session, service);
        if (latch === undefined) return { result: 'not_latched' };
        const released = await session.query(
          `update latches set released_at = now(), released_by = $2, release_reason = $3
           where id = $1 and released_at is null and cool_down_until <= now() returning id`,
          [latch.id, person, reason],
        );
        if (released.length === 0) return { result: 'too_early', latch };
        await addAudit(session, {
          person,
          command: 'guard release',
          service,
          reason,
          details: { latch: latch.id, trigger: latch.finding.trigger },
        });
        return { result: 'released', latch };
      }),
  };
}

async function trip(
  session: Session,
  finding: Finding,
  { replica, firstCoolDownMs }: Parameters<LatchStore['trip']>[1],
): Promise<{ readonly latch: Latch; readonly isNew: boolean }> {
  const { service } = finding;
  const [counted] = await session.query<{ trips: number }>(EARLIER, [service]);
  const seconds = coolDownMs(counted?.trips ?? 0, firstCoolDownMs) / 1_000;
  const parameters = [service, JSON.stringify(finding), replica, seconds];
  const [made] = await session.query<LatchRow>(TRIP, parameters);
  if (made !== undefined) {
    await auditTrip(session, latchOf(made));
    return { latch: latchOf(made), isNew: true };
  }
  const open = await openLatch(session, service);
  if (open === undefined)
    throw new Error(`The latch of ${service} was released at the moment it was set: try again`);
  return { latch: open, isNew: false };
}

async function auditTrip(session: Session, { id, service, finding }: Latch): Promise<void> {
  const { trigger, action, detail, numbers } = finding;
  const details = { latch: id, ...(action !== undefined && { action }), ...numbers };
  await addAudit(session, {
    person: 'guard',
    command: 'guard trip',
    service,
    reason: trigger === 'external' ? `${trigger}: ${detail ?? ''}` : trigger,
    details,
  });
}

async function writeFlagsOff(
  session: Session,
  latch: number,
  { service, flags }: { readonly service: ServiceName; readonly flags: readonly string[] },
): Promise<void> {
  const [written] = await session.query<LatchRow>(
    `update latches set flags_off = $2::jsonb where id = $1 and flags_off is null returning ${COLUMNS}`,
    [latch, JSON.stringify(flags)],
  );
  // Another replica has already written it.
  if (written === undefined) return;
  const reason = written.finding.trigger;
  await addAudit(session, {
    person: 'guard',
    command: 'flags off',
    service,
    reason,
    details: { latch, flags },
  });
}

async function openLatch(session: Session, service: ServiceName): Promise<Latch | undefined> {
  const rows = await session.query<LatchRow>(
    `select ${COLUMNS} from latches where service = $1 and released_at is null`,
    [service],
  );
  return rows.map(latchOf)[0];
}

async function readState(database: Database): Promise<GuardState> {
  const open = await database.query<LatchRow>(OPEN);
  const releases = await database.query<{ service: ServiceName; at: Date }>(RELEASES);
  const letters = await database.query<{ service: ServiceName; age_ms: number }>(DEAD_LETTERS);
  const lost = await database.query<{ service: ServiceName; lanes: number }>(LOST);
  const differs = await database.query<{ service: ServiceName; lanes: number }>(LEGACY_DIFFERS);
  const troubled = new Map<ServiceName, TroubledLanes>();
  const stores = await readStoreFindings(database);
  const inTrouble = [...letters, ...lost, ...differs].map((row) => row.service);
  for (const service of new Set([...inTrouble, ...stores.keys()])) {
    troubled.set(service, {
      deadLetterAgesMs: letters.filter((row) => row.service === service).map((row) => row.age_ms),
      lost: lost.find((row) => row.service === service)?.lanes ?? 0,
      stores: stores.get(service) ?? NOTHING_FOUND,
      legacyDiffers: differs.find((row) => row.service === service)?.lanes ?? 0,
    });
  }
  return {
    open: open.map(latchOf),
    releasedAtMs: new Map(releases.map(({ service, at }) => [service, at.getTime()])),
    troubled,
  };
}
