import { StorageError } from '../../src/domain/errors.ts';
import type { LaneKey, ReplicaId } from '../../src/domain/ids.ts';
import type { ReplicaIdentity } from '../../src/engine/ports/replica-ports.ts';
import type {
  ReplayedLane,
  ReplayPage,
  EarlierOutcome,
  SpilledIntent,
  SpillJournal,
} from '../../src/engine/ports/spill-ports.ts';
import type { Database } from './database.ts';
import type { Statement } from './journal.ts';
import { JournalTables } from './journal-tables.ts';
import {
  foundUncertain,
  mayBeRepeated,
  readOf,
  type LaneRead,
  type LaneRow,
  type StoredWrite,
} from './lane-row.ts';

interface Replayed {
  readonly row: LaneRead;
  readonly isUncertain: boolean;
  readonly isOutOfOrder: boolean;
}

/** `storage/spill/spill-journal.ts` over the tables in memory. */
export function createSimSpillJournal(
  database: Database,
  identity: ReplicaIdentity,
  statement: Statement,
): SpillJournal {
  const tables = new JournalTables(database);
  return {
    progress: (spill) => statement('spill progress', () => database.spills.progress(spill)),
    async replay(page) {
      const replaying = { database, tables, me: identity.id };
      const lanes = await statement(`replay ${page.after}–${page.through}`, () => {
        const keys = new Set(page.intents.map(({ lane }) => lane));
        if ([...keys].some((key) => isBusy(key, replaying))) return undefined;
        if (!database.spills.advance(page.spill, page.after, page.through)) return 'elsewhere' as const;
        return replayPage(page, replaying);
      });
      if (lanes === 'elsewhere')
        throw new StorageError('The journal holds another part', { effect: 'not_applied' });
      return lanes && new Map([...lanes].map(([key, lane]) => [key, seen(lane, identity)]));
    },
    recordOutcomes: (outcomes) => statement('record spilled', () => record(database, outcomes)),
  };
}

function seen({ row: { claim, ...row }, ...rest }: Replayed, identity: ReplicaIdentity): ReplayedLane {
  return { state: { ...row, isHome: claim === identity.id }, ...rest };
}

interface Replaying {
  readonly database: Database;
  readonly tables: JournalTables;
  readonly me: ReplicaId;
}

function replayPage(page: ReplayPage, replaying: Replaying): Map<LaneKey, Replayed> {
  const { database } = replaying;
  database.synced();
  const lanes = new Map<LaneKey, Replayed>();
  const outOfOrder = new Map<LaneKey, boolean>();
  for (const intent of page.intents.filter(({ lane }) => isOnLegacy(database.laneOrNew(lane), database))) {
    const { lane: key } = intent;
    const lane = database.laneOrNew(key);
    const isOutOfOrder = outOfOrder.get(key) ?? isOvertaken(page, { lane, intent }, replaying);
    if (!outOfOrder.has(key)) settleGone(lane, replaying);
    outOfOrder.set(key, isOutOfOrder);
    store(lane, intent, replaying);
    const known = page.outcomes.get(intent.operationId);
    const outcome = known === 'applied' && isOutOfOrder ? 'unknown' : known;
    if (outcome !== undefined) lane.outcomes.set(lane.sequence, outcome);
    const isOpen = outcome === undefined || outcome === 'unknown';
    const isUncertain = isOpen || lanes.get(key)?.isUncertain === true;
    lanes.set(key, { row: readOf(lane), isUncertain, isOutOfOrder });
  }
  record(database, page.earlier);
  noteOrder(page, database);
  return lanes;
}

/** If it is not, the lane is compared again. */
function isOnLegacy({ key, primary, epoch }: LaneRow, { flips }: Database): boolean {
  if (primary === 'orchestrator') flips.compared.delete(`${key} ${epoch}`);
  return primary === 'legacy';
}

function isOvertaken(
  page: ReplayPage,
  { lane, intent }: { readonly lane: LaneRow; readonly intent: SpilledIntent },
  { me }: Replaying,
): boolean {
  const own = new Set<ReplicaId | undefined>([undefined, me, intent.replica]);
  return page.isOutOfOrder(lane.key) || !own.has(lastWriter(lane, own));
}

/** `LAST_WRITERS`. */
function lastWriter(lane: LaneRow, own: ReadonlySet<ReplicaId | undefined>): ReplicaId | undefined {
  // Its write may have been pruned.
  if (!own.has(lane.writer)) return lane.writer;
  const isTelling = ({ sequence, replica }: StoredWrite): boolean =>
    !own.has(replica) || ['applied', 'refused'].includes(lane.outcomes.get(sequence) ?? '');
  return [...lane.writes.values()].toReversed().find(isTelling)?.replica;
}

/** `NOTE_ORDER`. */
function noteOrder({ settled }: ReplayPage, database: Database): void {
  for (const { lane: key, operationId, journalMs } of settled) {
    const { writes, outcomes } = database.laneOrNew(key);
    const all = [...writes.values()];
    const write = all.find((one) => one.operationId === operationId);
    const later = all.find(({ journaledAtMs = -Infinity }) => journaledAtMs > journalMs);
    if (write !== undefined && later !== undefined && outcomes.get(write.sequence) === 'unknown')
      writes.set(write.sequence, { ...write, precedes: later.sequence });
  }
}

/** Another replica that lives has an open write of the lane, or one holds it. */
function isBusy(key: LaneKey, { database, tables, me }: Replaying): boolean {
  const lane = database.lane(key);
  if (lane === undefined || !tables.isBusyElsewhere(lane, me)) return false;
  return tables.isHeld(lane) || !isWriterGone(lane, database);
}

function isWriterGone({ writer }: LaneRow, { replicas }: Database): boolean {
  return writer === undefined || !replicas.isListed(writer);
}

/** `SETTLE_GONE`. */
function settleGone(lane: LaneRow, { database, me }: Replaying): void {
  const { sequence, settledSequence, writer, outcomes } = lane;
  if (writer === me || sequence <= settledSequence || outcomes.has(sequence)) return;
  if (isWriterGone(lane, database)) outcomes.set(sequence, 'unknown');
}

/** One write of `TAKE_PLACES` and `INSERT_WRITES`. */
function store(lane: LaneRow, intent: SpilledIntent, { database, tables, me }: Replaying): void {
  if (tables.isClaimedByOther(lane, me)) foundUncertain(lane);
  tables.store(me, intent);
  const write = lane.writes.get(lane.sequence);
  if (write !== undefined) lane.writes.set(lane.sequence, { ...write, journaledAtMs: undefined });
  mayBeRepeated(lane, database.clock.now());
  if (lane.condition !== 'stopped') Object.assign(lane, { condition: 'dirty', reason: 'spilled' });
}

function record(database: Database, outcomes: readonly EarlierOutcome[]): void {
  database.synced();
  for (const { lane: key, operationId, outcome } of outcomes) {
    const lane = database.lane(key);
    for (const write of lane?.writes.values() ?? [])
      if (write.operationId === operationId && lane?.outcomes.has(write.sequence) === false)
        lane.outcomes.set(write.sequence, outcome);
  }
}
