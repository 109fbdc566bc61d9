import type { LaneKey, OperationId, ServiceName } from '../domain/ids.ts';
import type { Decided } from '../engine/ports/decision-ports.ts';
import type {
  HaltedSend,
  HaltReason,
  ReverseDecision,
  ReverseLedger,
  ReverseStanding,
} from '../engine/ports/reverse-ports.ts';
import { addAudit } from './audit.ts';
import type { Database } from './database.ts';
import { LAST_FOR_LEGACY } from './reverse-sends.ts';

const STANDS = `coalesce(r.ending, case r.decision when 'retry' then 'retried' else 'open' end)`;

const LIST = `
select r.operation_id::text, l.service, l.key as lane, r.sequence, r.action, r.halted_because, r.halted_at, r.attempts,
  ${STANDS} as standing, r.decided_at, r.decided_by, r.decided_reason,
  (select count(*) from writes w join outcomes o on o.lane_id = w.lane_id and o.sequence = w.sequence
    where r.ended_at is null and w.lane_id = r.lane_id and w.sequence > r.sequence and o.outcome = 'applied') as waiting
from reverse_sends r join lanes l on l.id = r.lane_id
where r.halted_at is not null and ($1::text is null or l.service = $1)
  and ($2::boolean is null or (r.ended_at is null and r.decision is null) = $2)
order by r.halted_at desc limit $3`;

const DECIDE = `
update reverse_sends r set decision = $2, decided_at = clock_timestamp(), decided_by = $3, decided_reason = $4,
  ended_at = case when $5::text is null then null else now() end, ending = $5,
  tail = case when $5::text is null then tail end
from lanes l
where l.id = r.lane_id and r.operation_id = $1 and r.halted_at is not null and r.decision is null and r.ended_at is null
returning l.service, l.key as lane, r.sequence`;

const FIND = `
select ${STANDS} as standing from reverse_sends r where r.operation_id = $1 and r.halted_at is not null`;

/**
 * Reads only lanes that lag, and of each only the next write to deliver, as the lag of the orchestrator is read. Writes that legacy gets
 * no more, because its service is read-only or complete, do not wait.
 */
const STANDING = `
select count(*) as lanes,
  count(next.accepted_at) as "waitingLanes",
  coalesce(sum(least(l.sequence, ${LAST_FOR_LEGACY}) - l.delivered_sequence) filter (where next.accepted_at is not null), 0)::float8 as "waitingWrites",
  case when count(next.accepted_at) > 0
    then greatest(0, extract(epoch from now() - min(next.accepted_at))) end::float8 as "oldestSeconds",
  (select count(*) from reverse_sends r join lanes h on h.id = r.lane_id
    where h.service = $1 and r.halted_at is not null and r.decision is null and r.ended_at is null) as "haltedLanes",
  (select count(*) from lost_ways_back b join lanes h on h.id = b.lane_id where h.service = $1) as "lostWaysBack",
  (select count(*) from reverse_sends r join lanes h on h.id = r.lane_id
    where h.service = $1 and r.halted_at is not null and r.ending = 'skipped') as "skippedWrites"
from lanes l
left join lateral (
  select w.accepted_at from writes w join outcomes o on o.lane_id = w.lane_id and o.sequence = w.sequence and o.outcome = 'applied'
  where l.sequence > l.delivered_sequence and w.lane_id = l.id and w.sequence > l.delivered_sequence and o.sequence > l.delivered_sequence
    and coalesce(w.sequence <= ${LAST_FOR_LEGACY}, true)
  order by w.sequence limit 1) next on true
where l.service = $1 and l.primary_backend = 'orchestrator'`;

/** The ending that each decision gives a send. */
const ENDINGS = { retry: null, skip: 'skipped', assume_applied: 'assumed_applied' } as const;

const COMMANDS = {
  retry: 'reverse retry',
  skip: 'reverse skip',
  assume_applied: 'reverse assume-applied',
} as const satisfies Record<ReverseDecision, string>;

interface HaltedRow {
  readonly operation_id: string;
  readonly service: string;
  readonly lane: string;
  readonly sequence: number;
  readonly action: string;
  readonly halted_because: string;
  readonly halted_at: Date;
  readonly attempts: number;
  readonly standing: string;
  readonly decided_at: Date | null;
  readonly decided_by: string | null;
  readonly decided_reason: string | null;
  readonly waiting: number;
}

interface DecidedRow {
  readonly service: ServiceName;
  readonly lane: LaneKey;
  readonly sequence: number;
}

function haltedOf(row: HaltedRow): HaltedSend {
  return {
    operationId: row.operation_id as OperationId,
    service: row.service as ServiceName,
    lane: row.lane as LaneKey,
    sequence: row.sequence,
    action: row.action,
    because: row.halted_because as HaltReason,
    haltedAtMs: row.halted_at.getTime(),
    attempts: row.attempts,
    standing: row.standing as HaltedSend['standing'],
    ...(row.decided_at !== null && { decidedAtMs: row.decided_at.getTime() }),
    ...(row.decided_by !== null && {
      decidedBy: { person: row.decided_by, reason: row.decided_reason ?? '' },
    }),
    waiting: row.waiting,
  };
}

const NOTHING: ReverseStanding = {
  lanes: 0,
  waitingLanes: 0,
  waitingWrites: 0,
  oldestSeconds: null,
  haltedLanes: 0,
  lostWaysBack: 0,
  skippedWrites: 0,
};

/** The ledger of halted reverse sends in PostgreSQL. */
export function createReverseLedger(database: Database): ReverseLedger {
  return {
    async list({ service, standing, limit }) {
      const isOpen = standing === undefined ? null : standing === 'open';
      const rows = await database.query<HaltedRow>(LIST, [service ?? null, isOpen, limit]);
      return rows.map(haltedOf);
    },
    decide: (operation, as, { person, reason }) =>
      database.transaction(async (session): Promise<Decided> => {
        const decision = [operation, as, person, reason, ENDINGS[as]];
        const [row] = await session.query<DecidedRow>(DECIDE, decision);
        if (row === undefined) {
          const [found] = await session.query<{ standing: string }>(FIND, [operation]);
          return found === undefined
            ? { result: 'unknown_operation' }
            : { result: 'ended', by: found.standing };
        }
        const { service, lane, sequence } = row;
        const details = { operation_id: operation, lane, sequence };
        await addAudit(session, { person, command: COMMANDS[as], service, reason, details });
        return { result: 'decided', service, lane };
      }),
    async standing(service) {
      const [row] = await database.query<ReverseStanding>(STANDING, [service]);
      return row ?? NOTHING;
    },
  };
}
