import type { LaneKey, OperationId, ServiceName } from '../domain/ids.ts';
import type {
  DeadLetterStanding,
  DeadLetterStore,
  Decided,
  StoredDeadLetter,
} from '../engine/ports/decision-ports.ts';
import { addAudit } from './audit.ts';
import type { Database } from './database.ts';
import type { Seal } from './seal.ts';

interface LetterRow {
  readonly operation_id: string;
  readonly service: string;
  readonly lane: string;
  readonly sequence: number;
  readonly action: string;
  readonly code: string;
  readonly reason: string;
  readonly at: Date;
  readonly attempts: number;
  readonly standing: string;
  readonly resolved_at: Date | null;
  readonly resolved_by: string | null;
  readonly resolved_reason: string | null;
  readonly is_through: boolean;
  readonly waiting: number;
}

const LETTERS = `
select d.operation_id::text, l.service, l.key as lane, d.sequence, d.action, d.code, d.reason, d.at, d.attempts,
  coalesce(d.resolution, 'open') as standing, d.resolved_at, d.resolved_by, d.resolved_reason,
  d.sequence <= l.delivered_sequence as is_through,
  (select count(*) from writes w join outcomes o on o.lane_id = w.lane_id and o.sequence = w.sequence
    where d.resolved_at is null and w.lane_id = d.lane_id and w.sequence > d.sequence and o.outcome = 'applied') as waiting
from dead_letters d join lanes l on l.id = d.lane_id where d.operation_id is not null`;

const LIST = `${LETTERS}
  and ($1::text is null or l.service = $1) and ($2::boolean is null or (d.resolved_at is null) = $2)
order by d.at desc limit $3`;

const FIND = `${LETTERS} and d.operation_id = $1`;

/** Locks the lane first, like every other statement, because another order can deadlock. */
const LOCK = `
select l.id, l.service, l.key as lane, d.sequence, coalesce(d.resolution, 'open') as standing
from dead_letters d join lanes l on l.id = d.lane_id where d.operation_id = $1 for update of l`;

const RESOLVE = `
update dead_letters set resolved_at = now(), resolution = $3, resolved_by = $4, resolved_reason = $5
where lane_id = $1 and sequence = $2 and resolved_at is null returning sequence`;

const COMMANDS = { redriven: 'dead-letters redrive', skipped: 'dead-letters skip' } as const;

function letterOf(row: LetterRow): StoredDeadLetter {
  return {
    operationId: row.operation_id as OperationId,
    service: row.service as ServiceName,
    lane: row.lane as LaneKey,
    sequence: row.sequence,
    action: row.action,
    code: row.code,
    reason: row.reason,
    refusedAtMs: row.at.getTime(),
    attempts: row.attempts,
    standing: row.standing as DeadLetterStanding,
    ...(row.resolved_at !== null && { resolvedAtMs: row.resolved_at.getTime() }),
    ...(row.resolved_by !== null && {
      resolvedBy: { person: row.resolved_by, reason: row.resolved_reason ?? '' },
    }),
    isThrough: row.is_through,
    waiting: row.waiting,
  };
}

/** Dead letters in PostgreSQL. */
export function createDeadLetterStore(database: Database, seal: Seal): DeadLetterStore {
  return {
    async list({ service, standing, limit }) {
      const isOpen = standing === undefined ? null : standing === 'open';
      const rows = await database.query<LetterRow>(LIST, [service ?? null, isOpen, limit]);
      return rows.map(letterOf);
    },
    async find(operation) {
      const rows = await database.query<LetterRow>(FIND, [operation]);
      return rows.map(letterOf)[0];
    },
    async requestOf(operation) {
      const [row] = await database.query<{ request: string }>(
        `select w.request from dead_letters d join writes w on w.lane_id = d.lane_id and w.sequence = d.sequence
         where d.operation_id = $1`,
        [operation],
      );
      return row === undefined ? undefined : seal.open(row.request);
    },
    resolve: (operation, as, { person, reason }) =>
      database.transaction(async (session): Promise<Decided> => {
        const [found] = await session.query<LetterRow & { readonly id: number }>(LOCK, [operation]);
        if (found === undefined) return { result: 'unknown_operation' };
        const { id, sequence, service, lane, standing } = found;
        const resolved = await session.query(RESOLVE, [id, sequence, as, person, reason]);
        if (resolved.length === 0) return { result: 'ended', by: standing };
        await addAudit(session, {
          person,
          command: COMMANDS[as],
          service,
          reason,
          details: { operation_id: operation, lane, sequence },
        });
        return { result: 'decided', service: service as ServiceName, lane: lane as LaneKey };
      }),
  };
}
