import type { KeptReplies, UnansweredWrite } from '../../engine/writes/repeats.ts';
import type { Reply, WriteRef } from '../../engine/ports/ports.ts';
import type { Database } from '../database.ts';
import type { Seal } from '../seal.ts';
import type { KeyedWrites } from '../../engine/compare/comparison-stores.ts';
import { REPEATS } from './journal-sql.ts';

/** How many writes of a lane are searched for a repetition. */
const LOOK_BACK = 1_000;

const KEEP = `
with kept as (
  insert into kept_replies (lane_id, sequence, reply) values ($1, $2, $3) on conflict do nothing
)
update lanes set repeats_until = now() + ${REPEATS} where id = $1`;

const LOST = `
with lost as (
  insert into kept_replies (lane_id, sequence, is_lost) values ($1, $2, true) on conflict do nothing
)
update lanes set repeats_until = now() + ${REPEATS} where id = $1`;

const UNANSWERED = `
select w.sequence, w.request, r.reply is not null as has_reply,
  coalesce(o.outcome, 'unknown') = 'unknown' and r.sequence is null and w.sequence > l.settled_sequence as is_unsettled
from lanes l
join writes w on w.lane_id = l.id and w.sequence < $2 and w.sequence >= $2 - ${LOOK_BACK}
left join outcomes o on o.lane_id = w.lane_id and o.sequence = w.sequence
left join kept_replies r on r.lane_id = w.lane_id and r.sequence = w.sequence
where l.id = $1 and w.action = $3 and case
  when r.sequence is not null and ((r.reply is null and not r.is_lost) or r.taken_by is not null) then false
  when coalesce(o.outcome, 'unknown') = 'unknown' then coalesce(o.at, now()) > now() - ${REPEATS}
  else r.at > now() - ${REPEATS} end
order by w.sequence`;

const TAKE = `
with closed as (
  insert into kept_replies (lane_id, sequence, taken_by) select $1, unnest($2::bigint[]), $3 on conflict do nothing
)
update kept_replies set taken_by = $3
where lane_id = $1 and sequence = any($2::bigint[]) and (reply is not null or is_lost) and coalesce(taken_by, $3) = $3
returning sequence, reply`;

const PRUNE = `delete from kept_replies where at < now() - interval '10 minutes' returning sequence`;

interface KeptRepliesSettings {
  readonly database: Database;
  readonly seal: Seal;
}

/** A reply as stored. */
interface StoredReply {
  /** Base64. */
  readonly body: string;
  readonly http?: Reply['http'];
}

interface UnansweredRow {
  readonly sequence: number;
  readonly request: string;
  readonly has_reply: boolean;
  readonly is_unsettled: boolean;
}

/** Replies that no agent has received, in PostgreSQL. */
export class PostgresKeptReplies implements KeptReplies {
  readonly #settings: KeptRepliesSettings;

  constructor(settings: KeptRepliesSettings) {
    this.#settings = settings;
  }

  async keep({ laneId, sequence }: WriteRef, { body, http }: Reply): Promise<void> {
    const { database, seal } = this.#settings;
    const stored: StoredReply = { body: body.toString('base64'), ...(http !== undefined && { http }) };
    await database.query(KEEP, [laneId, sequence, seal.seal(JSON.stringify(stored))]);
  }

  async lost({ laneId, sequence }: WriteRef): Promise<void> {
    await this.#settings.database.query(LOST, [laneId, sequence]);
  }

  async unanswered({ laneId, sequence }: WriteRef, action: string): Promise<readonly UnansweredWrite[]> {
    const { database, seal } = this.#settings;
    const rows = await database.query<UnansweredRow>(UNANSWERED, [laneId, sequence, action]);
    return rows.map((row) => ({
      sequence: row.sequence,
      request: seal.open(row.request),
      isUnsettled: row.is_unsettled,
      hasReply: row.has_reply,
    }));
  }

  async take({ laneId, sequence }: WriteRef, sequences: readonly number[]): Promise<Reply | undefined> {
    const { database, seal } = this.#settings;
    const parameters = [laneId, sequences, sequence];
    const rows = await database.query<{ sequence: number; reply: string | null }>(TAKE, parameters);
    const newest = rows
      .toSorted((a, b) => a.sequence - b.sequence)
      .flatMap(({ reply }) => reply ?? [])
      .at(-1);
    if (newest === undefined) return undefined;
    const { body, http } = JSON.parse(seal.open(newest)) as StoredReply;
    return { body: Buffer.from(body, 'base64'), ...(http !== undefined && { http }) };
  }

  /** Deletes replies that no repeat can use any more. Resolves with the number of deleted replies. */
  async prune(): Promise<number> {
    return (await this.#settings.database.query(PRUNE)).length;
  }
}

const MOST = 1_000;

// Most lanes were never cleared, so their requests are not read.
const APPLIED = `
with newest as (
  select w.lane_id, w.sequence, w.action
  from lanes l join writes w on w.lane_id = l.id
  where l.key = $1 and w.sequence <= $5
  order by w.sequence desc limit $4)
select w.action, w.request
from newest n
join outcomes o on o.lane_id = n.lane_id and o.sequence = n.sequence and o.outcome = 'applied'
join writes w on w.lane_id = n.lane_id and w.sequence = n.sequence
where n.action = any($2::text[]) and exists (select from newest where action = any($3::text[]))
order by w.sequence`;

/** The journal's writes of a lane, by action. */
export function createKeyedWrites(database: Database, seal: Seal): KeyedWrites {
  return {
    async appliedTo(lane, { actions, removing, upTo = Number.MAX_SAFE_INTEGER }) {
      const rows = await database.query<{ action: string; request: string }>(APPLIED, [
        lane,
        actions,
        removing,
        MOST,
        upTo,
      ]);
      return rows.map(({ action, request }) => ({ action, request: seal.open(request) }));
    },
  };
}
