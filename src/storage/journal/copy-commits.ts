import type { LaneKey } from '../../domain/ids.ts';
import type { FinishedCopy } from '../../engine/ports/journal-facts.ts';
import { packBaseline, REPLACE_BASELINE } from '../runs/baselines.ts';
import type { Database } from '../database.ts';
import { STANDING } from '../runs/standing.ts';
import { prepared } from '../sessions/session.ts';
import { GroupCommit } from './group-commit.ts';
import type { LaneRow } from './journal-rows.ts';
import { claimedByOther, LANE_COLUMNS } from './journal-sql.ts';

interface Begin {
  readonly lane: LaneKey;
  /** The new generation must be above this one. */
  readonly above: number;
}

interface Finish {
  readonly lane: LaneKey;
  readonly facts: FinishedCopy;
}

/** Starts and ends of copies. Many lanes share one commit, because a backfill mostly waits for these commits. */
export class CopyCommits {
  readonly #database: Database;
  readonly #replica: () => string;
  readonly #begins: GroupCommit<Begin, LaneRow | undefined>;
  readonly #ends: GroupCommit<Finish, LaneRow | undefined>;

  constructor(database: Database, replica: () => string) {
    this.#database = database;
    this.#replica = replica;
    const settings = { isUrgent: () => true, lingerMs: 0 };
    this.#begins = new GroupCommit<Begin, LaneRow | undefined>({
      ...settings,
      flush: (begun) => this.#begin(begun),
      keyOf: ({ lane }) => lane,
    });
    this.#ends = new GroupCommit<Finish, LaneRow | undefined>({
      ...settings,
      flush: (finished) => this.#finish(finished),
      keyOf: ({ lane }) => lane,
    });
  }

  /** Undefined if another replica is the lane's home. @throws StorageError */
  begin(asked: Begin): Promise<LaneRow | undefined> {
    return this.#begins.add(asked);
  }

  /** Undefined if another copy of the lane has started since. @throws StorageError */
  async finish(lane: LaneKey, facts: FinishedCopy): Promise<LaneRow | undefined> {
    if (facts.exceptions.length === 0) return this.#ends.add({ lane, facts });
    // The orchestrator's message about an item may be a text that cannot be stored. The copies of other lanes must not fail because of it.
    return (await this.#finish([{ lane, facts }]))[0];
  }

  async #begin(begun: readonly Begin[]): Promise<(LaneRow | undefined)[]> {
    const lanes = begun.map(({ lane }) => lane);
    const slashes = lanes.map((lane) => lane.indexOf('/'));
    const rows = await this.#database.query<LaneRow>(BEGIN_COPIES, [
      lanes,
      lanes.map((lane, index) => lane.slice(0, slashes[index])),
      lanes.map((lane, index) => lane.slice((slashes[index] ?? 0) + 1)),
      this.#replica(),
      begun.map(({ above }) => above),
    ]);
    return inOrder(rows, lanes);
  }

  async #finish(finished: readonly Finish[]): Promise<(LaneRow | undefined)[]> {
    const exceptions = finished.flatMap(({ lane, facts }) =>
      facts.exceptions.map((exception) => ({ lane, ...exception })),
    );
    const lanes = finished.map(({ lane }) => lane);
    const baselines = finished.map(({ facts: { baseline } }) => baseline && packBaseline(baseline));
    const rows = await this.#database.query<LaneRow>(FINISH_COPIES, [
      lanes,
      finished.map(({ facts }) => facts.generation),
      finished.map(({ facts }) => facts.sequence),
      finished.map(({ facts }) => facts.coverage),
      finished.map(({ facts }) => facts.closes ?? false),
      ...(['items', 'digest', 'entries'] as const).map((name) =>
        baselines.map((baseline) => baseline?.[name] ?? null),
      ),
      ...(['lane', 'item', 'action', 'code', 'reason'] as const).map((name) =>
        exceptions.map((exception) => exception[name]),
      ),
      finished.map(({ facts }) => facts.isRepair !== true),
    ]);
    return inOrder(rows, lanes);
  }
}

function inOrder(rows: readonly LaneRow[], lanes: readonly LaneKey[]): (LaneRow | undefined)[] {
  const found = new Map<string, LaneRow>(rows.map((row) => [row.key, row]));
  return lanes.map((lane) => found.get(lane));
}

/**
 * Lanes are locked in the order of their keys, as everywhere. Another replica may have found the lane uncertain. A home that
 * does not know this yet could read before that replica's write takes effect, and call the lane clean.
 */
const BEGIN_COPIES = prepared(`
insert into lanes (key, service, owner, generation, condition, claim_replica, claim_fence)
select key, service, owner, above + 1, 'copying', $4::uuid, 1
from unnest($1::text[], $2::text[], $3::text[], $5::bigint[]) as asked(key, service, owner, above) order by key
on conflict (key) do update set
  generation = greatest(lanes.generation + 1, excluded.generation), condition = 'copying', reason = '', claim_replica = $4,
  claim_fence = lanes.claim_fence + case when lanes.claim_replica = $4 then 0 else 1 end
where lanes.primary_backend = 'legacy' and not ${claimedByOther('lanes', '$4')} and lanes.uncertain_count <= lanes.foreign_seen
returning ${LANE_COLUMNS}`);

/**
 * A lane that became dirty during the copy stays dirty, and a copy of an older generation finishes nothing.
 * The exceptions replace those of the previous copy, but an accepted item stays accepted. Baselines are locked in the order of their
 * lanes. Lanes are locked `for no key update`, so that foreign-key checks do not wait. The statement that writes only baselines takes
 * the same locks in the same order.
 */
const FINISH_COPIES = prepared(`
with asked as (
  select * from unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[], $5::boolean[], $6::int[], $7::text[], $8::text[], $14::boolean[])
    as t(key, generation, sequence, coverage, closes, items, digest, entries, resolves)
), refused as (
  select * from unnest($9::text[], $10::text[], $11::text[], $12::text[], $13::text[]) as t(key, item, action, code, reason)
), lane as (
  select l.id as lane_id, l.key as lane_key, l.service, l.owner, asked.resolves, l.delivered_sequence as stood_at, asked.sequence as through, asked.coverage as seeds,
    asked.closes, asked.items, asked.digest, asked.entries
  from lanes l join asked on asked.key = l.key and asked.generation = l.generation and l.primary_backend = 'legacy'
  order by l.key for no key update of l
), noted as (
  insert into lane_advances (lane_id, sequence, via)
  select lane_id, through, 'copy' from lane where stood_at < through
  on conflict do nothing
), listed as (
  insert into lane_baselines as b (lane_id, sequence, items, digest, entries)
  select lane_id, through, items, digest, decode(entries, 'base64') from lane where entries is not null order by lane_id
  ${REPLACE_BASELINE}
), gone as (
  delete from lane_exceptions e using lane
  where e.lane_id = lane.lane_id
    and not exists (select from refused where refused.key = lane.lane_key and refused.item = e.item)
), kept as (
  insert into lane_exceptions (lane_id, item, action, code, reason)
  select distinct on (lane.lane_id, refused.item) lane.lane_id, refused.item, refused.action, refused.code, refused.reason
  from lane join refused on refused.key = lane.lane_key
  on conflict (lane_id, item) do update set code = excluded.code, reason = excluded.reason, at = now()
  returning lane_id, accepted_at
), letters as (
  update dead_letters d set resolved_at = now(), resolution = 'copied'
  from lane where d.lane_id = lane.lane_id and d.sequence <= lane.through and d.resolved_at is null
), ended as (
  update unknown_outcomes u set
    ended_at = coalesce(ended_at, now()), ending = coalesce(ending, 'copied'),
    closed_at = case when lane.closes then now() end
  from lane where u.lane_id = lane.lane_id and u.sequence <= lane.through and u.closed_at is null
), equal as (
  update divergences d set state = 'copied', resolved_at = now() from lane
  where lane.resolves and d.service = lane.service and d.owner = lane.owner and d.state in ${STANDING}
)
update lanes set
  condition = case condition when 'copying' then 'clean' else condition end,
  seeded_coverage = greatest(seeded_coverage, lane.seeds),
  delivered_sequence = greatest(delivered_sequence, lane.through),
  settled_sequence = greatest(settled_sequence, lane.through),
  exceptions = (select count(*) from kept where kept.lane_id = lanes.id and accepted_at is null),
  finding = case when lane.resolves then -abs(finding) else finding end
from lane where lanes.id = lane.lane_id
returning ${LANE_COLUMNS}`);
