import * as decisions from '../decisions-sql.ts';
import type { LaneKey, OperationId, Owner, ReplicaId, ServiceName } from '../../domain/ids.ts';
import type { LaneState, NamedItem, PlacedLane } from '../../domain/lane.ts';
import {
  type FinishedCopy,
  type LaneCounts,
  type LastApplied,
  NO_LANES,
  type Recovery,
} from '../../engine/ports/journal-facts.ts';
import type {
  DeadLetter,
  Intent,
  Journal,
  LaneView,
  LateReply,
  PageLimit,
  PendingWrite,
  RecordedOutcome,
  WriteRef,
} from '../../engine/ports/ports.ts';
import type { Database } from '../database.ts';
import { prepared } from '../sessions/session.ts';
import * as sql from './journal-sql.ts';
import * as recovery from './recovery-sql.ts';
import { CopyCommits } from './copy-commits.ts';
import { GroupCommit } from './group-commit.ts';
import { IntentCommits, type JournalSettings } from './intent-commits.ts';
import {
  type FenceRow,
  type LaneRow,
  laneStateOf,
  openIntentOf,
  type OpenRow,
  lastAppliedOf,
  type LastAppliedRow,
  pendingOf,
  viewOf,
  type WriteRow,
} from './journal-rows.ts';

export { PRUNED_AT_ONCE } from './journal-sql.ts';

/** How long dead letters and unknown outcomes are kept after their end. */
const KEEP_LEDGERS_DAYS = 90;
const RESOLVE_LATE = decisions.resolveLate(sql.LANE_COLUMNS.replace(/^id/, 'lanes.id'));

/** A row of `LANES_WITH_PENDING`. */
interface PendingLane {
  readonly key: LaneKey;
  readonly newest: number;
}

/** The journal in PostgreSQL. It reads and writes nothing before the first call. */
export class PostgresJournal implements Journal {
  readonly #settings: JournalSettings;
  readonly #commits: IntentCommits;
  readonly #progress: LaneProgress;
  readonly #copies: CopyCommits;
  /** Lanes of the last answer, with their counts. The next query confirms them; until then they are returned again. */
  #foreignSeen: ReadonlyMap<number, number> = new Map();
  /** Combines the fence reads of one tick. */
  readonly #fences: GroupCommit<LaneKey, LaneView | undefined>;

  constructor(settings: JournalSettings) {
    this.#settings = settings;
    this.#progress = new LaneProgress(settings.database, () => settings.replica.id);
    this.#copies = new CopyCommits(settings.database, () => settings.replica.id);
    this.#fences = new GroupCommit<LaneKey, LaneView | undefined>({
      flush: async (lanes) => {
        const views = await this.fences(lanes);
        return lanes.map((lane) => views.get(lane));
      },
      keyOf: () => undefined,
      isUrgent: () => true,
      lingerMs: 0,
    });
    this.#commits = new IntentCommits(settings);
  }

  append(intent: Intent): Promise<PlacedLane | undefined> {
    return this.#commits.append(intent);
  }

  async nameItems({ laneId, sequence }: WriteRef, items: readonly NamedItem[]): Promise<boolean> {
    const { database, seal } = this.#settings;
    const parameters = [laneId, sequence, seal.seal(JSON.stringify(items))];
    return (await database.query(sql.NAME_ITEMS, parameters)).length > 0;
  }

  async recordOutcome(recorded: RecordedOutcome): Promise<void> {
    const { ref, outcome, seedsUnder } = recorded;
    const { laneId, sequence } = ref;
    // Written first, so that no unknown outcome is missing from the ledger.
    if (outcome === 'unknown')
      await this.#settings.database.query(decisions.RECORD_UNKNOWN, [laneId, sequence, seedsUnder ?? null]);
    await this.#commits.recordOutcome(recorded);
    if (outcome === 'applied' && seedsUnder !== undefined)
      await this.#progress.add(laneId, { seeded: seedsUnder });
  }

  async resolveLate({ ref, outcome, generation, seedsUnder = 0 }: LateReply): Promise<LaneState | undefined> {
    const parameters = [ref.laneId, ref.sequence, outcome, generation, seedsUnder];
    const [row] = await this.#settings.database.query<LaneRow>(RESOLVE_LATE, parameters);
    return row === undefined ? undefined : this.#stateOf(row);
  }

  delivered(ref: WriteRef): Promise<void> {
    return this.#progress.add(ref.laneId, { delivered: ref.sequence });
  }

  async markDirty(lane: LaneKey, reason: string): Promise<void> {
    await this.#settings.database.query(sql.MARK_DIRTY, [lane, reason, this.#settings.replica.id]);
  }

  async cleanSpilled(lane: LaneKey): Promise<void> {
    await this.#settings.database.query(decisions.CLEAN_SPILLED, [lane]);
  }

  async stopLane(lane: LaneKey, reason: string): Promise<void> {
    await this.#settings.database.query(sql.STOP_LANE, [lane, reason]);
  }

  async deadLetter({ ref, code, reason }: DeadLetter): Promise<void> {
    await this.#settings.database.query(decisions.DEAD_LETTER, [ref.laneId, ref.sequence, code, reason]);
  }

  async lanes(keys: readonly LaneKey[]): Promise<ReadonlyMap<LaneKey, LaneState>> {
    const rows = await this.#settings.database.query<LaneRow>(sql.LANES, [keys]);
    return new Map(rows.map((row) => [row.key as LaneKey, this.#stateOf(row)]));
  }

  async pending(lane: LaneKey, after: number, most: PageLimit): Promise<readonly PendingWrite[]> {
    return this.#writes(lane, sql.PENDING, [lane, after, most.writes, most.bytes, this.#settings.replica.id]);
  }

  async undelivered(lane: LaneKey, through: number, heldUpTo?: number): Promise<readonly PendingWrite[]> {
    return this.#writes(lane, sql.UNDELIVERED, [lane, through, heldUpTo ?? null]);
  }

  deliveredSinceCopy(lane: LaneKey): Promise<readonly PendingWrite[]> {
    return this.#writes(lane, sql.DELIVERED_SINCE_COPY, [lane]);
  }

  async lastApplied(lane: LaneKey, before?: number, from = 0): Promise<LastApplied> {
    const rows = await this.#settings.database.query<LastAppliedRow>(sql.LAST_APPLIED, [
      lane,
      before ?? null,
      from,
    ]);
    return lastAppliedOf(rows as [LastAppliedRow]);
  }

  async #writes(lane: LaneKey, statement: string, parameters: readonly unknown[]): Promise<PendingWrite[]> {
    const { database, seal } = this.#settings;
    const rows = await database.query<WriteRow>(statement, parameters);
    return rows.map((row) => pendingOf(lane, row, seal));
  }

  async beginCopy(lane: LaneKey, above = 0): Promise<LaneState | undefined> {
    const row = await this.#copies.begin({ lane, above });
    return row === undefined ? undefined : this.#stateOf(row);
  }

  async finishCopy(lane: LaneKey, facts: FinishedCopy): Promise<LaneState | undefined> {
    const row = await this.#copies.finish(lane, facts);
    return row === undefined ? undefined : this.#stateOf(row);
  }

  async hold(lane: LaneKey, seconds: number): Promise<LaneState | undefined> {
    const parameters = [lane, this.#settings.replica.id, seconds];
    const [row] = await this.#settings.database.query<LaneRow>(sql.HOLD, parameters);
    return row === undefined ? undefined : this.#stateOf(row);
  }

  async releaseHold(lane: LaneKey): Promise<void> {
    await this.#settings.database.query(sql.RELEASE_HOLD, [lane, this.#settings.replica.id]);
  }

  async tellHome(lane: LaneKey): Promise<LaneState | undefined> {
    const { database, replica } = this.#settings;
    const [row] = await database.query<LaneRow>(sql.TELL_HOME, [lane, replica.id]);
    return row === undefined ? undefined : this.#stateOf(row);
  }

  async outdated(service: ServiceName, coverage: number): Promise<readonly Owner[]> {
    const rows = await this.#settings.database.query<{ owner: Owner }>(sql.OUTDATED, [service, coverage]);
    return rows.map(({ owner }) => owner);
  }

  async returned(service: ServiceName, coverage: number): Promise<readonly Owner[]> {
    const rows = await this.#settings.database.query<{ owner: Owner }>(sql.RETURNED, [service, coverage]);
    return rows.map(({ owner }) => owner);
  }

  async takeForeign(): Promise<ReadonlyMap<LaneKey, LaneState>> {
    const { database, replica } = this.#settings;
    await database.query(recovery.TAKE_ABANDONED, [replica.id, replica.services ?? null]);
    const seen = [...this.#foreignSeen];
    const parameters = [replica.id, seen.map(([id]) => id), seen.map(([, count]) => count)];
    const rows = await database.query<LaneRow & { foreign_count: number }>(sql.TAKE_FOREIGN, parameters);
    this.#foreignSeen = new Map(rows.map((row) => [row.id, row.foreign_count]));
    return new Map(rows.map((row) => [row.key as LaneKey, this.#stateOf(row)]));
  }

  async unwell(): Promise<readonly LaneKey[]> {
    const { database, replica } = this.#settings;
    const rows = await database.query<{ key: LaneKey }>(sql.UNWELL, [replica.id]);
    return rows.map(({ key }) => key);
  }

  fence(lane: LaneKey): Promise<LaneView | undefined> {
    return this.#fences.add(lane);
  }

  async fences(lanes: readonly LaneKey[]): Promise<ReadonlyMap<LaneKey, LaneView>> {
    const rows = await this.#settings.database.query<FenceRow>(sql.FENCES, [lanes]);
    return new Map(rows.map((row) => [row.key as LaneKey, viewOf(row, this.#stateOf(row))]));
  }

  #stateOf(row: LaneRow): LaneState {
    return laneStateOf(row, this.#settings.replica);
  }

  async recover(only?: LaneKey): Promise<Recovery> {
    const { database, replica } = this.#settings;
    const { id } = replica;
    const lane = only ?? null;
    const services = replica.services ?? null;
    return database.transaction(async (session) => {
      await session.query(recovery.REMOVE_DEAD, [id]);
      const unsettled = await session.query<{ id: number }>(recovery.FIND_UNSETTLED, [lane, services]);
      const ids = unsettled.map((row) => row.id);
      await session.query(recovery.LOCK_ABANDONED, [lane, ids, services]);
      await session.query(recovery.MARK_UNSETTLED, [id, lane, ids, services]);
      await session.query(recovery.SETTLE_ABANDONED, [lane, services]);
      await session.query(recovery.ADOPT_ORPHANS, [id, lane, services]);
      const dirty = await session.query<{ key: LaneKey }>(recovery.DIRTY, [id, lane]);
      const pending = await session.query<PendingLane>(recovery.LANES_WITH_PENDING, [id, lane]);
      const open = await session.query<OpenRow>(recovery.OPEN_ON_ORCHESTRATOR, [id, lane]);
      const unclosed = await session.query<{ key: LaneKey }>(recovery.UNCLOSED, [id, lane, services]);
      return {
        open: open.map(openIntentOf),
        unclosed: unclosed.map(({ key }) => key),
        dirty: dirty.map(({ key }) => key),
        pending: pending.map(({ key, newest }) => ({ lane: key, newest })),
      };
    });
  }

  async abandon(lane: LaneKey, operationId: OperationId): Promise<void> {
    await this.#settings.database.query(sql.ABANDON, [lane, operationId]);
  }

  async counts(service: ServiceName): Promise<LaneCounts> {
    const [row] = await this.#settings.database.query<LaneCounts>(sql.COUNTS, [service]);
    return row ?? NO_LANES;
  }

  /** Deletes delivered writes that are older than `hours`, a batch at a time. Resolves with the number of deleted writes. */
  async prune(hours: number): Promise<number> {
    await this.#settings.database.query(decisions.PRUNE_LEDGERS, [KEEP_LEDGERS_DAYS]);
    const rows = await this.#settings.database.query<{ sequence: number }>(sql.PRUNE, [hours]);
    return rows.length;
  }

  /** Writes all pending entries. */
  async drain(): Promise<void> {
    await this.#commits.drain();
    await this.#progress.drain();
  }
}

/** The delivery position of a lane. */
interface Progress {
  readonly delivered?: number;
  readonly seeded?: number;
}

interface Step extends Progress {
  readonly laneId: number;
}

const LINGER_MS = 10;

const ADVANCE = prepared(`
with moved as (
  select lane_id, max(delivered) as delivered, max(seeded) as seeded
  from unnest($1::bigint[], $2::bigint[], $3::bigint[]) as t(lane_id, delivered, seeded)
  group by lane_id
), locked as (
  select id, delivered_sequence as stood_at from lanes where id = any($1::bigint[]) order by key for update
), noted as (
  insert into lane_advances (lane_id, sequence, via)
  select locked.id, moved.delivered, 'delivery' from moved join locked on locked.id = moved.lane_id
  where moved.delivered > locked.stood_at
  on conflict do nothing
), quiet as (
  -- Asynchronous, because the agents' commits wait for these rows. A position lost in a crash only causes fenced repetitions.
  select set_config('synchronous_commit', 'off', true) as setting
)
update lanes set
  delivered_sequence = greatest(delivered_sequence, moved.delivered),
  -- Only the first write of a lane seeds it. Once the lane's primary has changed, only a copy does.
  seeded_coverage = case when epoch = 0 and primary_backend = 'legacy'
    then greatest(seeded_coverage, moved.seeded) else seeded_coverage end,
  -- No delivery waits, so the next replica that writes to the lane becomes its home.
  claim_replica = case
    when claim_replica = $4 and condition = 'clean' and greatest(delivered_sequence, moved.delivered) >= sequence then null
    else claim_replica end
from moved join locked on locked.id = moved.lane_id cross join quiet
where lanes.id = moved.lane_id`);

/**
 * Records delivery positions with a delay. A delivery whose position is lost in a crash is repeated without effect. Many steps of a lane
 * become one update, separate from the group commit that agents wait for.
 */
class LaneProgress {
  readonly #commits: GroupCommit<Step, undefined>;

  constructor(database: Database, replica: () => ReplicaId) {
    this.#commits = new GroupCommit<Step, undefined>({
      flush: async (steps) => {
        await database.query(ADVANCE, [
          steps.map(({ laneId }) => laneId),
          steps.map(({ delivered }) => delivered ?? 0),
          steps.map(({ seeded }) => seeded ?? 0),
          replica(),
        ]);
        return [];
      },
      keyOf: () => undefined,
      isUrgent: () => false,
      lingerMs: LINGER_MS,
      batchLimit: 5_000,
    });
  }

  async add(laneId: number, progress: Progress): Promise<void> {
    await this.#commits.add({ laneId, ...progress });
  }

  drain(): Promise<void> {
    return this.#commits.drain();
  }
}
