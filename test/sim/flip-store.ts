import type { FlipDecision, FlipPermission, FlipStore } from '../../src/engine/ports/flip-ports.ts';
import type { Backend } from '../../src/domain/backend.ts';
import type { ReplicaId } from '../../src/domain/ids.ts';
import type { Position } from '../../src/engine/ports/restored-ports.ts';
import type { ReplicaIdentity } from '../../src/engine/ports/replica-ports.ts';
import type { Database } from './database.ts';
import type { Statement } from './journal.ts';
import { JournalTables } from './journal-tables.ts';
import {
  hasUnknown,
  isBehind,
  isQuiet,
  newLane,
  readOf,
  takeClaim,
  type LaneRead,
  type LaneRow,
} from './lane-row.ts';

interface FlipParts {
  readonly database: Database;
  readonly identity: ReplicaIdentity;
  readonly statement: Statement;
  /** Planted: an announced lane is flipped at once, although a backend may lack a write. @defaultValue false */
  readonly skipsDrain?: boolean;
  /** Planted: a lane returns to legacy at once, although that may lack a write. @defaultValue false */
  readonly returnsEarly?: boolean;
}

/** `storage/flips.ts` over the tables in memory. */
export function createSimFlipStore({
  database,
  identity,
  statement,
  skipsDrain = false,
  returnsEarly = false,
}: FlipParts): FlipStore {
  const tables = new JournalTables(database);
  const stateOf = ({ claim, ...row }: LaneRead) => ({ ...row, isHome: claim === identity.id });
  return {
    async announce(key, ms) {
      const me = identity.id;
      const held = await statement(`announce ${key}`, () => {
        database.synced();
        const lane = database.lane(key);
        if (lane === undefined || tables.isClaimedByOther(lane, me) || tables.isBusyElsewhere(lane, me))
          return undefined;
        if (lane.claim === undefined && isQuiet(lane)) lane.foreignSeen = lane.foreignCount;
        takeClaim(lane, me);
        lane.holder = me;
        lane.heldUntilMs = database.clock.now() + ms;
        if (skipsDrain && lane.primary === 'legacy')
          moveTo('orchestrator', lane, { database, facts: { share: 0 } });
        return { row: readOf(lane), claim: lane.claims };
      });
      return held && { state: stateOf(held.row), claim: held.claim };
    },
    async withdraw(key) {
      const me = identity.id;
      await statement(`withdraw ${key}`, () => {
        database.synced();
        const lane = database.lane(key);
        if (lane?.holder !== me || (lane.claim !== undefined && lane.claim !== me)) return;
        lane.heldUntilMs = -Infinity;
        if (isQuiet(lane)) lane.claim = undefined;
      });
    },
    async flip(key, decision) {
      const me = identity.id;
      const row = await statement(`flip ${key} to ${decision.to}`, () =>
        flip(database, { key, me, decision, returnsEarly }),
      );
      return row && stateOf(row);
    },
    async bear(key, permission) {
      const row = await statement(`bear ${key}`, () => bear(database, key, permission));
      return row && stateOf(row);
    },
  };
}

function bear(database: Database, key: LaneRow['key'], permission: FlipPermission): LaneRead | undefined {
  database.synced();
  if (database.lane(key) !== undefined) return undefined;
  const fresh = newLane(key, 0);
  const { number } = database.coverage.current(fresh.service);
  if (!isPermitted(database, { ...fresh, seededCoverage: number }, permission)) return undefined;
  const lane = database.laneOrNew(key);
  Object.assign(lane, {
    primary: 'orchestrator',
    epoch: 1,
    seededCoverage: number,
    bucket: permission.bucket,
  });
  const facts = { is_born: 'true', share: permission.share };
  lane.flips.push({ to: 'orchestrator', epoch: 1, atMs: database.clock.now(), facts });
  database.onFlip(lane);
  database.flips.compared.set(`${key} 1`, 'equal');
  database.keepBaseline(key, { sequence: 0, items: [] });
  return readOf(lane);
}

interface Flip {
  readonly key: LaneRow['key'];
  readonly me: ReplicaId;
  readonly decision: FlipDecision;
  readonly returnsEarly: boolean;
}

function flip(database: Database, { key, me, decision, returnsEarly }: Flip): LaneRead | undefined {
  database.synced();
  const lane = database.lane(key);
  if (lane === undefined || !isAsDecided(lane, me, decision)) return undefined;
  const nowMs = database.clock.now();
  if (lane.holder !== me || lane.heldUntilMs <= nowMs) return undefined;
  const { to, permission } = decision;
  if (!(returnsEarly && to === 'legacy') && !isReady(lane, nowMs)) return undefined;
  if (isForbidden(database, lane, decision)) return undefined;
  if (permission !== undefined) lane.bucket = permission.bucket;
  moveTo(to, lane, { database, facts: decision.facts });
  markAtFlip(database, lane, decision.held);
  return readOf(lane);
}

/** As what the orchestrator was seen to hold under the new epoch. */
function markAtFlip({ restored, clock }: Database, { key, epoch }: LaneRow, held?: Position): void {
  if (held === undefined) return;
  const { journalSequence = 0 } = restored.marks.get(key) ?? {};
  restored.marks.set(key, { ...held, underEpoch: epoch, journalSequence, atMs: clock.now() });
}

interface Move {
  readonly database: Database;
  readonly facts: FlipDecision['facts'];
}

function moveTo(to: Backend, lane: LaneRow, { database, facts = {} }: Move): void {
  lane.primary = to;
  lane.epoch += 1;
  lane.heldUntilMs = -Infinity;
  lane.deliveredSequence = lane.sequence;
  lane.claim = undefined;
  lane.flips.push({ to, epoch: lane.epoch, atMs: database.clock.now(), facts });
  if (to === 'legacy') {
    lane.generation += 1;
    lane.seededCoverage = -database.coverage.current(lane.service).number;
  }
  database.flips.moved(lane.key);
  database.onFlip(lane);
}

function isForbidden(database: Database, lane: LaneRow, decision: FlipDecision): boolean {
  if (isEnding(database, lane, decision)) return true;
  if (decision.permission?.isFirst === true && !isFirst(database, lane)) return true;
  return decision.to === 'orchestrator' && !isPermitted(database, lane, decision.permission);
}

/** The one lane that may move before the way back is proven. */
function isFirst(database: Database, { key, service }: LaneRow): boolean {
  const { shares, clock } = database;
  const named = shares.firstLane(service, clock.wallOf(clock.now()));
  return named?.lane === key && !database.isFlippedBeyond(service, 0);
}

/** Only a lane whose first write came while the service became read-only may still leave legacy. */
function isEnding(database: Database, { service }: LaneRow, { to }: FlipDecision): boolean {
  if (!database.isClosedTo(service)) return false;
  return to === 'legacy' || database.serviceWrites.get(service)?.settledAtMs !== undefined;
}

function isAsDecided(lane: LaneRow, me: ReplicaId, { to, epoch, sequence, claim }: FlipDecision): boolean {
  return (
    lane.primary !== to &&
    lane.epoch === epoch &&
    lane.sequence === sequence &&
    (lane.claim === me || lane.claim === undefined) &&
    lane.claims === claim
  );
}

/** Its history is certain, and both backends have every write. */
function isReady(lane: LaneRow, nowMs: number): boolean {
  return (
    lane.condition === 'clean' &&
    lane.exceptions === 0 &&
    lane.finding <= 0 &&
    lane.repeatsUntilMs <= nowMs &&
    lane.foreignCount <= lane.foreignSeen &&
    lane.deadLetters.size === 0 &&
    !hasUnknown(lane) &&
    !isBehind(lane)
  );
}

/** It may leave legacy. */
function isPermitted(
  { shares, replicas, spills, coverage }: Database,
  { service, seededCoverage }: LaneRow,
  permission: FlipPermission | undefined,
): boolean {
  const share = shares.of(service);
  if (permission === undefined || share === undefined) return false;
  const isAsDecidedOn =
    share.number === permission.share &&
    share.percentage >= permission.bucket &&
    share.version === permission.version;
  const { number } = coverage.current(service);
  return (
    isAsDecidedOn &&
    replicas.allReport(service, share) &&
    !shares.isHeld(service) &&
    !spills.isAnyOpen() &&
    number > 0 &&
    number === seededCoverage
  );
}
