import type { PlacedLane } from '../../domain/lane.ts';
import type { Intent, RecordedOutcome } from '../../engine/ports/ports.ts';
import { type Database, sqlstateOf } from '../database.ts';
import { bigints, instants, texts, uuids } from '../sessions/columns.ts';
import { prepared } from '../sessions/session.ts';
import type { ReplicaIdentity } from '../../engine/ports/replica-ports.ts';
import type { Seal } from '../seal.ts';
import { GroupCommit } from './group-commit.ts';
import { placedStateOf, type PlaceRow } from './journal-rows.ts';
import { busyElsewhere, claimedByOther } from './journal-sql.ts';

type Entry = { readonly intent: Intent } | { readonly outcome: RecordedOutcome };

/** An outcome waits this long for an intent whose commit it can share. A crash in that time only makes its lane dirty. */
const OUTCOME_LINGER_MS = 5;
const UNIQUE_VIOLATION = '23505';
/** After this many consecutive commits without a lane that names another replica, the next commits use the faster statement. */
const ALONE_AFTER = 100;
/** The lane's row names another replica, which may or may not use it now. */
const NOT_OWN = 'not_own';

type Place = PlacedLane | undefined | typeof NOT_OWN;

/** The group commit that agents wait for: new intents, together with the outcomes of past ones. */
export class IntentCommits {
  readonly #settings: JournalSettings;
  readonly #commits: GroupCommit<Entry, Place>;
  /** Number of commits since a lane last named another replica. */
  #alone = 0;

  constructor(settings: JournalSettings) {
    this.#settings = settings;
    this.#commits = new GroupCommit<Entry, Place>({
      flush: (batch) => this.#flush(batch),
      keyOf: (entry) => ('intent' in entry ? entry.intent.lane : undefined),
      isUrgent: (entry) => 'intent' in entry,
      sizeOf: (entry) => ('intent' in entry ? entry.intent.request.length : 0),
      lingerMs: OUTCOME_LINGER_MS,
    });
  }

  /** Undefined if another replica uses the lane. */
  async append(intent: Intent): Promise<PlacedLane | undefined> {
    for (;;) {
      const place = await this.#commits.add({ intent });
      if (place !== NOT_OWN) return place;
    }
  }

  async recordOutcome(outcome: RecordedOutcome): Promise<void> {
    await this.#commits.add({ outcome });
  }

  drain(): Promise<void> {
    return this.#commits.drain();
  }

  async #flush(batch: readonly Entry[]): Promise<Place[]> {
    const intents: Intent[] = [];
    const outcomes: RecordedOutcome[] = [];
    for (const entry of batch)
      if ('intent' in entry) intents.push(entry.intent);
      else outcomes.push(entry.outcome);
    const { replica, seal } = this.#settings;
    const { id } = replica;
    const isAlone = this.#alone >= ALONE_AFTER;
    const rows = await this.#commit(isAlone ? COMMIT_OWN : COMMIT, [
      texts(intents.map(({ lane }) => lane)),
      texts(intents.map(({ service }) => service)),
      texts(intents.map(({ owner }) => owner)),
      uuids(intents.map(({ operationId }) => operationId)),
      texts(intents.map(({ action }) => action)),
      texts(intents.map(({ request }) => seal.seal(request))),
      instants(intents.map(({ acceptedAtMs }) => acceptedAtMs)),
      id,
      bigints(outcomes.map(({ ref }) => ref.laneId)),
      bigints(outcomes.map(({ ref }) => ref.sequence)),
      texts(outcomes.map(({ outcome }) => outcome)),
      bigints(intents.map(({ coverage = 0 }) => coverage)),
    ]);
    // This replica may have lost its lease and got a new id since the call.
    const isSame = replica.id === id;
    const places = new Map(rows.map((row) => [row.key, placedStateOf(row, isSame)]));
    const areOwn = rows.length === intents.length && rows.every(({ unusual }) => unusual?.isHome !== false);
    this.#alone = areOwn ? this.#alone + 1 : 0;
    const left = isAlone ? NOT_OWN : undefined;
    return batch.map((entry) => ('intent' in entry ? (places.get(entry.intent.lane) ?? left) : undefined));
  }

  async #commit(statement: string, parameters: readonly unknown[]): Promise<PlaceRow[]> {
    const { database } = this.#settings;
    try {
      return await database.query<PlaceRow>(statement, parameters);
    } catch (error) {
      // The commit had no effect. A replica that took over these lanes, or a commit that seemed to fail, has already written outcomes.
      if (sqlstateOf(error) !== UNIQUE_VIOLATION) throw error;
      return database.query<PlaceRow>(COMMIT_BESIDE_KNOWN, parameters);
    }
  }
}

/** The services whose state is not `open`, or null. Evaluated once per commit, because it does not depend on the lane. */
const NOT_OPEN = `(select jsonb_object_agg(service, state) from service_writes where state <> 'open')`;

/** Unusual facts of a lane; null for most lanes, because every column costs time in each row of every commit. */
const UNUSUAL = `
  case when claim_replica = $8 and condition = 'clean' and reason = '' and exceptions = 0 and finding = 0 and epoch = 0 and primary_backend = 'legacy'
      and uncertain_count = 0 and coalesce(repeats_until <= now(), true) and ${NOT_OPEN} ->> service is null
    then null
    else json_build_object('epoch', epoch, 'primary', primary_backend, 'condition', condition, 'reason', reason,
      'exceptions', exceptions, 'finding', finding, 'mayRepeat', coalesce(repeats_until > now(), false), 'foundUncertain', uncertain_count,
      'isHome', coalesce(claim_replica = $8, false), 'writes', coalesce(${NOT_OPEN} ->> service, 'open'))
    end as unusual`;

const CLAIMED_BY_OTHER = claimedByOther('lanes', '$8');

/** Updates any lane row. If the row names other replicas, their state is looked up. */
const WHOSE_EVER = `
    claim_replica = case when ${CLAIMED_BY_OTHER} then lanes.claim_replica else $8 end,
    claim_fence = lanes.claim_fence + case when lanes.claim_replica = $8 or ${CLAIMED_BY_OTHER} then 0 else 1 end,
    -- The copying replica is dead, so the lane's new home copies it again.
    condition = case
      when lanes.condition = 'copying' and lanes.claim_replica is distinct from $8 and not ${CLAIMED_BY_OTHER} then 'dirty'
      else lanes.condition end
  where not coalesce(${busyElsewhere('lanes', '$8')}, false)`;

/** The same for rows that name no other replica. */
const OWN = `
    claim_replica = $8,
    claim_fence = lanes.claim_fence + case when lanes.claim_replica = $8 then 0 else 1 end
  where (lanes.claim_replica = $8 or (lanes.claim_replica is null and lanes.condition <> 'copying'))
    and coalesce(lanes.writer_replica = $8, true)
    and (coalesce(lanes.hold_replica = $8, true) or coalesce(lanes.hold_until <= now(), true))`;

interface CommitKind {
  readonly lanes: string;
  readonly onKnownOutcome: string;
}

/** The parameters are unnested in both places, because one shared table would store them once more. */
function commit({ lanes, onKnownOutcome }: CommitKind): string {
  return prepared(`
with recorded as (
  insert into outcomes (lane_id, sequence, outcome)
  select * from unnest($9::bigint[], $10::bigint[], $11::text[])
  ${onKnownOutcome}
), locked as (
  insert into lanes (key, service, owner, sequence, obeyed_sequence, writer_replica, claim_replica, claim_fence,
    primary_backend, epoch)
  -- Legacy gets no new owner once it takes no writes.
  select key, service, owner, 1, 1, $8, $8, 1, case when ${NOT_OPEN} ? service then 'orchestrator' else 'legacy' end,
    case when ${NOT_OPEN} ? service then 1 else 0 end
  from unnest($1::text[], $2::text[], $3::text[]) as asked(key, service, owner) order by key
  on conflict (key) do update set
    sequence = lanes.sequence + 1,
    -- A commit that does not know this column fails where the orchestrator is primary.
    obeyed_sequence = lanes.sequence + 1,
    writer_replica = $8,${lanes}
  returning id, key, sequence, generation, seeded_coverage, delivered_sequence, ${UNUSUAL}
), stored as (
  insert into writes (lane_id, sequence, operation_id, action, request, accepted_at, replica, coverage)
  select locked.id, locked.sequence, operation_id, action, request, accepted_at, $8::uuid, coverage
  from locked join unnest($1::text[], $4::uuid[], $5::text[], $6::text[], $7::timestamptz[], $12::bigint[])
    as asked(key, operation_id, action, request, accepted_at, coverage) using (key)
)
select * from locked`);
}

/**
 * The group commit: outcomes of past writes, and new intents, each with its lane's next sequence. Lanes are locked in lane order,
 * because in arrival order two replicas deadlock. A lane that another replica uses is not returned, and gets no intent.
 * Fails if an outcome already exists.
 */
const COMMIT = commit({ lanes: WHOSE_EVER, onKnownOutcome: '' });

/** The same after such a failure: existing outcomes stay. Handling this in every commit would cost a tenth of its time. */
const COMMIT_BESIDE_KNOWN = commit({ lanes: WHOSE_EVER, onKnownOutcome: 'on conflict do nothing' });

/** The same, but lanes whose rows name another replica are not returned either. Handling them would cost another tenth. */
const COMMIT_OWN = commit({ lanes: OWN, onKnownOutcome: '' });

export interface JournalSettings {
  readonly database: Database;
  readonly replica: ReplicaIdentity;
  readonly seal: Seal;
}
