import type { LaneKey, OperationId, ReplicaId, ServiceName } from '../../src/domain/ids.ts';
import type { ByPerson } from '../../src/engine/ports/decision-ports.ts';
import type { ReplicaIdentity } from '../../src/engine/ports/replica-ports.ts';
import type {
  DueReturn,
  OpenWrites,
  ReturnChoice,
  ReturnObstacle,
  Rollback,
  WayBackStore,
  WouldBeLost,
} from '../../src/engine/ports/way-back-ports.ts';
import type { Database } from './database.ts';
import type { Statement } from './journal.ts';
import { JournalTables } from './journal-tables.ts';
import { hasUnknown, settleOutcome, writesAbove, type LaneRow, type StoredWrite } from './lane-row.ts';
import { isHaltedSend } from './reverse-sends.ts';

const SHOWN = 200;
const OWNERS_PER_PAGE = 1_000;
const AT_ONCE = 100;
const MEASURED = 100;
const LONGEST_PAUSE_MS = 60_000;
/** Before what agents do all the time. */
const SHORT_PAUSE_MS = 2_000;

/** A row of `rollback_lanes`. */
interface ReturningLane {
  readonly lane: LaneKey;
  attempts: number;
  nextMs: number;
  reason: string;
  /** Writes that a person has given up. */
  lost: number;
  returnedAtMs?: number;
}

/** A row of `rollbacks`, with its lanes. */
interface RollbackRow extends ByPerson {
  readonly id: number;
  readonly service: ServiceName;
  readonly acceptsLoss: boolean;
  readonly beganAtMs: number;
  readonly lanes: readonly ReturningLane[];
  endedAtMs?: number;
}

/** The tables `rollbacks` and `rollback_lanes`, and the acceptances that legacy forgets. */
export class RollbackTable {
  readonly rows: RollbackRow[] = [];
  readonly forgettingAccepted = new Set<ServiceName>();

  get open(): readonly RollbackRow[] {
    return this.rows.filter(({ endedAtMs }) => endedAtMs === undefined);
  }

  /** The lanes that are still to return. */
  get waiting(): readonly { readonly rollback: RollbackRow; readonly returning: ReturningLane }[] {
    return this.open.flatMap((rollback) =>
      rollback.lanes
        .filter(({ returnedAtMs }) => returnedAtMs === undefined)
        .map((returning) => ({ rollback, returning })),
    );
  }
}

interface WayBackParts {
  readonly database: Database;
  readonly identity: ReplicaIdentity;
  readonly statement: Statement;
  /** Planted: a lane does not wait until legacy has its writes. @defaultValue false */
  readonly returnsEarly?: boolean;
}

/** `storage/way-back.ts` over the tables in memory. */
export function createSimWayBackStore(parts: WayBackParts): WayBackStore {
  const { database, statement } = parts;
  const { rollbacks } = database;
  const shown = (row: RollbackRow | undefined): Rollback | undefined => row && shownOf(row, database);
  const find = (id: number): Rollback | undefined => shown(rollbacks.rows.find((row) => row.id === id));
  return {
    ...plansIn(parts),
    ...lanesIn(parts),
    begin: (service, choice, by) =>
      statement(`begin rollback ${service}`, () => {
        if (rollbacks.open.some((row) => row.service === service)) return undefined;
        database.synced();
        if (by.acceptsLoss) rollbacks.forgettingAccepted.add(service);
        const nowMs = database.clock.now();
        const lanes = chosenOf(database, service, choice).map(({ key }) => ({
          lane: key,
          attempts: 0,
          nextMs: nowMs,
          reason: '',
          lost: 0,
        }));
        const row = { ...by, id: rollbacks.rows.length + 1, service, lanes, beganAtMs: nowMs };
        rollbacks.rows.push(row);
        return shown(row);
      }),
    settle: async () => {
      await statement('settle returns', () => settleReturns(database));
      const ended = await statement('end rollbacks', () => endRollbacks(database));
      return ended.map((row) => shownOf(row, database));
    },
    find: (id) => statement('find rollback', () => find(id)),
    list: (limit) =>
      statement('list rollbacks', () =>
        rollbacks.rows
          .toReversed()
          .slice(0, limit)
          .map((row) => shownOf(row, database)),
      ),
    stop: (id) =>
      statement('stop rollback', () => {
        const row = rollbacks.open.find((one) => one.id === id);
        if (row === undefined) return false;
        database.synced();
        row.endedAtMs = database.clock.now();
        return true;
      }),
  };
}

function shownOf({ lanes, beganAtMs, endedAtMs, ...row }: RollbackRow, { clock }: Database): Rollback {
  return {
    ...row,
    lanes: lanes.length,
    returned: lanes.filter(({ returnedAtMs }) => returnedAtMs !== undefined).length,
    beganAtMs: clock.wallOf(beganAtMs),
    ...(endedAtMs !== undefined && { endedAtMs: clock.wallOf(endedAtMs) }),
    waiting: lanes
      .filter(({ returnedAtMs, attempts }) => returnedAtMs === undefined && attempts > 0)
      .map(({ lane, attempts, reason }) => ({ lane, attempts, reason })),
  };
}

/** `RETURNED`. */
function settleReturns(database: Database): void {
  for (const { returning } of database.rollbacks.waiting) {
    const { lane } = returning;
    if (database.lane(lane)?.primary !== 'legacy') continue;
    database.synced();
    returning.returnedAtMs = database.clock.now();
    database.reverse.hasReturned(lane);
  }
}

/** `ENDED`. */
function endRollbacks(database: Database): readonly RollbackRow[] {
  const ended = database.rollbacks.open.filter(({ lanes }) =>
    lanes.every(({ returnedAtMs }) => returnedAtMs !== undefined),
  );
  if (ended.length > 0) database.synced();
  for (const row of ended) row.endedAtMs = database.clock.now();
  return ended;
}

/** `CHOSEN`. */
function chosenOf(database: Database, service: ServiceName, choice: ReturnChoice): LaneRow[] {
  return database
    .lanes()
    .filter((lane) => lane.service === service && lane.primary === 'orchestrator')
    .filter((lane) => {
      if (choice === 'all') return true;
      return 'owner' in choice ? lane.owner === choice.owner : lane.bucket > choice.beyondPercentage;
    });
}

/** Applied writes that legacy lacks. */
function waitingOf(lane: LaneRow): StoredWrite[] {
  return writesAbove(lane, lane.deliveredSequence).filter(
    ({ sequence }) => lane.outcomes.get(sequence) === 'applied',
  );
}

/** `LOST`. */
function lostOf({ reverse }: Database, lane: LaneRow): WouldBeLost[] {
  const lost = new Map<number, WouldBeLost['cause']>();
  for (const send of reverse.of(lane.id))
    if (send.ending === 'skipped' && send.epoch === lane.epoch) lost.set(send.ref.sequence, 'skipped');
    else if (isHaltedSend(send)) lost.set(send.ref.sequence, 'halted');
  const sent = [...lost].flatMap(([sequence, cause]) => lostWrite(lane, sequence, cause));
  if (reverse.lostAtMs(lane.key) === undefined) return sent;
  return [...sent, ...waitingOf(lane).flatMap(({ sequence }) => lostWrite(lane, sequence, 'way_back_lost'))];
}

function lostWrite({ key, writes }: LaneRow, sequence: number, cause: WouldBeLost['cause']): WouldBeLost[] {
  const write = writes.get(sequence);
  if (write === undefined) return [];
  return [{ lane: key, sequence, operationId: write.operationId, action: write.action, cause }];
}

function plansIn({ database, statement }: WayBackParts): Pick<WayBackStore, 'readiness' | 'plan' | 'owners'> {
  const { reverse, rollbacks, clock } = database;
  const countOf = (lanes: readonly LaneRow[], of: (lane: LaneRow) => readonly unknown[]): number =>
    lanes.reduce((sum, lane) => sum + of(lane).length, 0);
  return {
    readiness: (service) =>
      statement('readiness to return', () => {
        const lanes = chosenOf(database, service, 'all');
        const legacy = database
          .lanes()
          .filter((lane) => lane.service === service && lane.primary === 'legacy');
        return {
          lanes: { legacy: legacy.length, orchestrator: lanes.length },
          waitingWrites: countOf(lanes, waitingOf),
          lostWrites: countOf(lanes, (lane) => lostOf(database, lane)),
          lostWaysBack: lanes.filter(({ key }) => reverse.lostAtMs(key) !== undefined).length,
          returning: rollbacks.waiting.filter(({ rollback }) => rollback.service === service).length,
          sendMs: sendMsOf(database, service),
        };
      }),
    plan: (service, choice) =>
      statement('plan of a return', () => {
        const lanes = chosenOf(database, service, choice);
        const lost = lanes.flatMap((lane) => lostOf(database, lane));
        return {
          lanes: lanes.length,
          waitingWrites: countOf(lanes, waitingOf),
          lostWrites: lost.length,
          lost: lost.toSorted((a, b) => compare(a.lane, b.lane) || a.sequence - b.sequence).slice(0, SHOWN),
          lostWaysBack: lanes.flatMap((lane) => {
            const atMs = reverse.lostAtMs(lane.key);
            if (atMs === undefined) return [];
            return [{ lane: lane.key, writes: waitingOf(lane).length, sinceMs: clock.wallOf(atMs) }];
          }),
          forgottenWrites: countOf(lanes, ({ id, epoch }) =>
            reverse.of(id).filter((send) => send.ending === 'forgotten' && send.epoch === epoch),
          ),
          isForgettingAccepted: rollbacks.forgettingAccepted.has(service),
          largestShiftMs: shiftOf(database, lanes),
          sendMs: sendMsOf(database, service),
          openWrites: countOf(lanes, (lane) =>
            writesAbove(lane, lane.deliveredSequence).filter(({ sequence }) => !lane.outcomes.has(sequence)),
          ),
        };
      }),
    owners: (service, choice, after) =>
      statement('owners to return', () =>
        chosenOf(database, service, choice)
          .map(({ owner }) => owner)
          .filter((owner) => owner > after)
          .toSorted(compare)
          .slice(0, OWNERS_PER_PAGE),
      ),
  };
}

function compare(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

function sendMsOf(database: Database, service: ServiceName): number | null {
  const times = database
    .lanes()
    .filter((lane) => lane.service === service)
    .flatMap(({ id }) => database.reverse.of(id))
    .flatMap(({ ending, startedAtMs, endedAtMs }) =>
      ending === 'applied' && endedAtMs !== undefined ? [{ startedAtMs, endedAtMs }] : [],
    )
    .toSorted((a, b) => b.endedAtMs - a.endedAtMs)
    .slice(0, MEASURED);
  const [last] = times;
  if (last === undefined) return null;
  const first = Math.min(...times.map(({ startedAtMs }) => startedAtMs));
  const all = times.reduce((sum, { startedAtMs, endedAtMs }) => sum + endedAtMs - startedAtMs, 0);
  return Math.min(all, last.endedAtMs - first) / times.length;
}

function shiftOf({ reverse, clock }: Database, lanes: readonly LaneRow[]): number | null {
  const shifts = lanes.flatMap((lane) =>
    [...lane.writes.values()]
      .filter(({ sequence }) => lane.outcomes.get(sequence) === 'applied')
      .flatMap(({ laneId, lane: key, sequence, atMs }) => {
        const send = reverse.find({ laneId, lane: key, sequence });
        if (send?.ending !== 'applied' && sequence <= lane.deliveredSequence) return [];
        return [(send?.endedAtMs ?? clock.now()) - atMs];
      }),
  );
  return shifts.length === 0 ? null : Math.max(...shifts);
}

type OfLanes = 'due' | 'obstacle' | 'halted' | 'giveUpWrites' | 'giveUpOpen' | 'failed';

function lanesIn({
  database,
  identity,
  statement,
  returnsEarly = false,
}: WayBackParts): Pick<WayBackStore, OfLanes> {
  const { rollbacks } = database;
  return {
    due: () => {
      const { id: me, services } = identity;
      return statement('lanes to return', () => dueOf(database, me, services));
    },
    obstacle: (lane) => {
      const me = identity.id;
      return statement(`obstacle ${lane}`, () => {
        const found = obstacleOf(database, lane, me);
        return returnsEarly && found === 'writes_wait' ? undefined : found;
      });
    },
    halted: (key) =>
      statement(`halted ${key}`, () => {
        const lane = database.lane(key);
        const send = database.reverse.of(lane?.id ?? 0).find(isHaltedSend);
        return send?.operationId satisfies OperationId | undefined;
      }),
    giveUpWrites: (lane) => {
      const me = identity.id;
      return statement(`give up writes ${lane}`, () => giveUpWrites(database, lane, me));
    },
    giveUpOpen: (lane, which) => {
      const me = identity.id;
      return statement(`give up open ${lane}`, () => giveUpOpen(database, { lane, me, which }));
    },
    failed: ({ rollback, service, owner }, reason) =>
      statement('a failed return', () => {
        database.synced();
        for (const returning of rollbacks.rows.find(({ id }) => id === rollback)?.lanes ?? []) {
          const lane = database.lane(returning.lane);
          if (lane?.service !== service || lane.owner !== owner) continue;
          const isShort = reason === 'busy' || reason === 'open_write';
          const longestMs = isShort ? SHORT_PAUSE_MS : LONGEST_PAUSE_MS;
          const pauseMs = Math.min(longestMs, 250 * 2 ** Math.min(returning.attempts, 10));
          returning.attempts += 1;
          returning.reason = reason;
          returning.nextMs = database.clock.now() + pauseMs;
        }
      }),
  };
}

function dueOf(database: Database, me: ReplicaId, services: readonly ServiceName[] | undefined): DueReturn[] {
  const tables = new JournalTables(database);
  const nowMs = database.clock.now();
  return database.rollbacks.waiting
    .filter(({ returning }) => returning.nextMs <= nowMs)
    .toSorted(
      (a, b) => a.returning.nextMs - b.returning.nextMs || compare(a.returning.lane, b.returning.lane),
    )
    .flatMap(({ rollback, returning }) => {
      const lane = database.lane(returning.lane);
      const { id, service, acceptsLoss, person, reason, beganAtMs } = rollback;
      const isOurs = services === undefined || services.includes(service);
      if (lane?.primary !== 'orchestrator' || !isOurs || tables.isClaimedByOther(lane, me)) return [];
      const by = { person, reason };
      return [{ rollback: id, service, owner: lane.owner, acceptsLoss, by, ageMs: nowMs - beganAtMs }];
    })
    .slice(0, AT_ONCE);
}

type Obstacles = readonly (readonly [obstacle: ReturnObstacle, isThere: boolean])[];

/** `OBSTACLE`: the first that applies. */
function obstacleOf(database: Database, key: LaneKey, me: ReplicaId): ReturnObstacle | undefined {
  const lane = database.lane(key);
  if (lane === undefined) return undefined;
  const { reverse, restored, clock } = database;
  const { deliveredSequence, sequence, outcomes } = lane;
  const isWayLost = reverse.lostAtMs(key) !== undefined;
  const after = writesAbove(lane, deliveredSequence);
  const obstacles: Obstacles = [
    ['read_only', database.isClosedTo(lane.service)],
    ['restored', restored.isOpen(key)],
    ['would_lose', isWayLost && deliveredSequence < sequence],
    ['halted', reverse.of(lane.id).some(isHaltedSend)],
    ['open_write', after.some((write) => !outcomes.has(write.sequence))],
    ['writes_wait', waitingOf(lane).length > 0],
    ['busy', new JournalTables(database).isBusyElsewhere(lane, me)],
    ['unknown_outcome', hasUnknown(lane)],
    ['dead_letter', lane.deadLetters.size > 0],
    ['not_clean', lane.condition !== 'clean' || lane.exceptions > 0 || lane.finding > 0],
    ['repeat_window', lane.repeatsUntilMs > clock.now()],
  ];
  return obstacles.find(([, isThere]) => isThere)?.[0];
}

/** `GIVE_UP_WRITES`. */
function giveUpWrites(database: Database, key: LaneKey, me: ReplicaId): void {
  database.synced();
  const lane = database.lane(key);
  if (lane?.primary !== 'orchestrator' || database.reverse.lostAtMs(key) === undefined) return;
  if (lane.holder !== me || lane.heldUntilMs <= database.clock.now()) return;
  const lost = waitingOf(lane).length;
  lane.deliveredSequence = lane.sequence;
  for (const { returning } of database.rollbacks.waiting) if (returning.lane === key) returning.lost = lost;
}

interface GivingUp {
  readonly lane: LaneKey;
  readonly me: ReplicaId;
  readonly which: OpenWrites;
}

/** `GIVE_UP_OPEN`. */
function giveUpOpen(database: Database, { lane: key, me, which }: GivingUp): void {
  database.synced();
  const lane = database.lane(key);
  if (lane?.primary !== 'orchestrator') return;
  if (new JournalTables(database).isClaimedByOther(lane, me)) return;
  const above = Math.max(lane.deliveredSequence, lane.settledSequence, which.above);
  for (const { sequence, replica } of writesAbove(lane, above))
    if (replica === me || (which.ofDeadReplicas && !database.replicas.isListed(replica)))
      settleOutcome(lane, { sequence, outcome: 'not_applied' }, database.clock.now());
}
