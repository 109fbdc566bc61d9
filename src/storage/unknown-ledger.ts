import type { LaneKey, OperationId, ServiceName } from '../domain/ids.ts';
import type {
  Assumption,
  Decided,
  StoredUnknown,
  UnknownEnding,
  UnknownLedger,
} from '../engine/ports/decision-ports.ts';
import { addAudit } from './audit.ts';
import type { Database, Session } from './database.ts';
import { CLEAN_LANE } from './decisions-sql.ts';

interface UnknownRow {
  readonly operation_id: string;
  readonly service: string;
  readonly lane: string;
  readonly sequence: number;
  readonly action: string;
  readonly accepted_at: Date;
  readonly found_at: Date;
  readonly ending: string | null;
  readonly ended_at: Date | null;
  readonly closed_at: Date | null;
  readonly decided_by: string | null;
  readonly decided_reason: string | null;
}

const COLUMNS = `u.operation_id::text, u.service, u.lane, u.sequence, u.action, u.accepted_at, u.found_at, u.ending, u.ended_at,
  u.closed_at, u.decided_by, u.decided_reason`;

const LIST = `
select ${COLUMNS} from unknown_outcomes u
where ($1::text is null or u.service = $1) and ($2::boolean is null or (u.ended_at is null) = $2)
order by u.found_at desc limit $3`;

/** How long the engine waits for a late reply, which knows more than a person. A decision is possible only afterwards. */
const LISTENED_SECONDS = 60;

const LOCK = `
select ${COLUMNS}, l.id, l.generation, u.found_at > now() - make_interval(secs => ${LISTENED_SECONDS}) as is_young, u.seeds_under
from unknown_outcomes u join lanes l on l.id = u.lane_id where u.operation_id = $1 for update of l`;

const OUTCOME = `
insert into outcomes (lane_id, sequence, outcome) values ($1, $2, $3)
on conflict (lane_id, sequence) do update set outcome = excluded.outcome, at = now() where outcomes.outcome = 'unknown'`;

const END = `
update unknown_outcomes set ended_at = now(), closed_at = now(), ending = $3, decided_by = $4, decided_reason = $5
where lane_id = $1 and sequence = $2`;

interface LockedRow extends UnknownRow {
  readonly id: number;
  readonly generation: number;
  readonly is_young: boolean;
  readonly seeds_under: number | null;
}

/** The effect of each decision on the write. */
const CHOICES = {
  applied: { outcome: 'applied', ending: 'assumed_applied', command: 'unknown-outcomes assume-applied' },
  lost: { outcome: 'not_applied', ending: 'assumed_lost', command: 'unknown-outcomes assume-lost' },
} as const;

function unknownOf(row: UnknownRow): StoredUnknown {
  return {
    operationId: row.operation_id as OperationId,
    service: row.service as ServiceName,
    lane: row.lane as LaneKey,
    sequence: row.sequence,
    action: row.action,
    acceptedAtMs: row.accepted_at.getTime(),
    foundAtMs: row.found_at.getTime(),
    ...(row.ending !== null && { ending: row.ending as UnknownEnding }),
    ...(row.ended_at !== null && { endedAtMs: row.ended_at.getTime() }),
    ...(row.closed_at !== null && { closedAtMs: row.closed_at.getTime() }),
    ...(row.decided_by !== null && {
      decidedBy: { person: row.decided_by, reason: row.decided_reason ?? '' },
    }),
  };
}

/** The ledger of unknown outcomes in PostgreSQL. */
export function createUnknownLedger(database: Database): UnknownLedger {
  return {
    async list({ service, standing, limit }) {
      const isOpen = standing === undefined ? null : standing === 'open';
      const rows = await database.query<UnknownRow>(LIST, [service ?? null, isOpen, limit]);
      return rows.map(unknownOf);
    },
    assume: (operation, assumption) =>
      database.transaction(async (session): Promise<Decided> => {
        const [row] = await session.query<LockedRow>(LOCK, [operation]);
        if (row === undefined) return { result: 'unknown_operation' };
        if (row.ending !== null) return { result: 'ended', by: row.ending };
        if (row.is_young)
          return { result: 'too_early', untilMs: row.found_at.getTime() + LISTENED_SECONDS * 1_000 };
        await assume(session, row, assumption);
        return { result: 'decided', service: row.service as ServiceName, lane: row.lane as LaneKey };
      }),
  };
}

async function assume(session: Session, row: LockedRow, assumption: Assumption): Promise<void> {
  const { id, sequence, service, lane, generation, seeds_under: seedsUnder } = row;
  const { person, reason } = assumption;
  const { outcome, ending, command } = CHOICES[assumption.outcome];
  await session.query(OUTCOME, [id, sequence, outcome]);
  await session.query(END, [id, sequence, ending, person, reason]);
  // Seeds the lane as the late reply would have, unless a copy has started or dual writes have ended since.
  const seeds = generation === 0 && outcome === 'applied' ? (seedsUnder ?? 0) : 0;
  const cleaned = await session.query(CLEAN_LANE, [id, sequence, seeds]);
  await addAudit(session, {
    person,
    command,
    service,
    reason,
    details: { operation_id: row.operation_id, lane, sequence, is_lane_clean: cleaned.length > 0 },
  });
}
