import { type LaneKey, parseLaneKey, type ServiceName } from '../../src/domain/ids.ts';
import type { ByPerson } from '../../src/engine/ports/decision-ports.ts';
import type {
  FoundOlder,
  JournalPosition,
  Position,
  RestoredLane,
  RestoredStore,
  SettledLane,
} from '../../src/engine/ports/restored-ports.ts';
import type { Database } from './database.ts';
import type { Statement } from './journal.ts';
import type { LaneRow } from './lane-row.ts';

const PAGE = 1_000;
const REDELIVERED_AT_ONCE = 100;
const MARK_AGE_MS = 3_600_000;

/** A row of `restored_lanes`. */
interface RestoredRow extends FoundOlder {
  readonly id: number;
  readonly foundAtMs: number;
  redelivered?: number;
  isIncomplete: boolean;
  decidedAtMs?: number;
  decidedBy?: ByPerson;
}

/** A row of `orchestrator_marks`. */
interface Mark extends Position {
  readonly underEpoch: number;
  readonly journalSequence: number;
  readonly atMs: number;
}

/** The tables `restored_lanes`, `orchestrator_marks` and `orchestrator_backups`. */
export class RestoredTable {
  readonly rows: RestoredRow[] = [];
  readonly marks = new Map<LaneKey, Mark>();
  /** A verified backup of the orchestrator holds everything up to here. */
  backedUpUntilMs = -Infinity;

  get open(): readonly RestoredRow[] {
    return this.rows.filter(({ decidedAtMs }) => decidedAtMs === undefined);
  }

  isOpen(key: LaneKey): boolean {
    return this.open.some(({ lane }) => lane === key);
  }
}

/** `storage/restored-lanes.ts` over the tables in memory. */
export function createSimRestoredStore(database: Database, statement: Statement): RestoredStore {
  const { restored, clock } = database;
  return {
    ...positionsIn(database, statement),
    found: (lanes) =>
      statement('found restored lanes', () => {
        const isNew = lanes.filter(({ lane }) => !restored.isOpen(lane));
        database.synced();
        for (const { lane, older, journal, orchestrator } of isNew)
          restored.rows.push({
            id: restored.rows.length + 1,
            lane,
            older,
            journal: placeOf(journal),
            orchestrator: placeOf(orchestrator),
            foundAtMs: clock.now(),
            isIncomplete: false,
          });
        return isNew.map(({ lane }) => lane);
      }),
    version: () =>
      statement('version of restored lanes', () => ({
        list: `${restored.rows.length}/${restored.open.length}`,
        database: database.instance,
      })),
    open: () => statement('restored lanes', () => restored.open.map(({ lane }) => lane)),
    toRedeliver: () =>
      statement('lanes to redeliver', () =>
        restored.open
          .filter(({ older, redelivered }) => older === 'orchestrator' && redelivered === undefined)
          .slice(0, REDELIVERED_AT_ONCE)
          .map(({ lane }) => lane),
      ),
    redelivered: (lane, { writes, isComplete }) =>
      statement(`redelivered ${lane}`, () => {
        database.synced();
        for (const row of restored.open)
          if (row.lane === lane && row.older === 'orchestrator')
            Object.assign(row, { redelivered: (row.redelivered ?? 0) + writes, isIncomplete: !isComplete });
      }),
    list: ({ service, isOpen, limit }) =>
      statement('list restored lanes', () =>
        restored.rows
          .toReversed()
          .map((row) => shownOf(row, database))
          .filter((row) => service === undefined || row.service === service)
          .filter(({ decidedAtMs }) => isOpen === undefined || (decidedAtMs === undefined) === isOpen)
          .slice(0, limit),
      ),
    accept: (service, lanes, by) =>
      statement(`accept restored lanes`, () => accept(database, { service, lanes, by })),
    counts: () =>
      statement('count restored lanes', () => {
        const services = restored.open.map(({ lane }) => parseLaneKey(lane).service);
        return new Map(services.map((name) => [name, services.filter((one) => one === name).length]));
      }),
    backedUp: (untilMs) =>
      statement('orchestrator backed up', () => {
        database.synced();
        restored.backedUpUntilMs = Math.max(restored.backedUpUntilMs, clock.instantOf(untilMs));
      }),
  };
}

function shownOf(
  { id: _id, foundAtMs, decidedAtMs, ...row }: RestoredRow,
  { clock }: Database,
): RestoredLane {
  return {
    ...row,
    service: parseLaneKey(row.lane).service,
    foundAtMs: clock.wallOf(foundAtMs),
    ...(decidedAtMs !== undefined && { decidedAtMs: clock.wallOf(decidedAtMs) }),
  };
}

function placeOf({ epoch, generation, sequence }: Position): Position {
  return { epoch, generation, sequence };
}

function positionsIn(
  database: Database,
  statement: Statement,
): Pick<RestoredStore, 'moved' | 'positions' | 'mark'> {
  return {
    moved: (after) =>
      statement('positions of moved lanes', () =>
        database
          .lanes()
          .filter(({ primary, key }) => primary === 'orchestrator' && key > after)
          .toSorted((a, b) => (a.key < b.key ? -1 : 1))
          .slice(0, PAGE)
          .map((lane) => positionOf(database, lane)),
      ),
    positions: (keys) =>
      statement('positions of lanes', () =>
        keys.flatMap((key) => {
          const lane = database.lane(key);
          return lane === undefined ? [] : [positionOf(database, lane)];
        }),
      ),
    mark: (seen) =>
      statement('mark the orchestrator', () => {
        database.synced();
        for (const { lane, ...place } of seen) mark(database, lane, placeOf(place));
      }),
  };
}

/** `POSITIONS`. */
function positionOf({ restored }: Database, lane: LaneRow): JournalPosition {
  const { key, primary, epoch, generation, sequence, outcomes, outcomesAtMs, flips } = lane;
  const known = restored.marks.get(key);
  const under = known?.underEpoch === epoch ? known : undefined;
  const sinceMs = flips.find((flip) => flip.epoch === epoch)?.atMs ?? -Infinity;
  const applied = [...outcomes].filter(
    ([number, outcome]) =>
      outcome === 'applied' &&
      number > (under?.journalSequence ?? 0) &&
      (outcomesAtMs.get(number) ?? -Infinity) >= sinceMs,
  );
  return {
    lane: key,
    primary,
    epoch,
    generation,
    sequence,
    applied: Math.max(0, ...applied.map(([number]) => number)),
    ...(under !== undefined && { mark: placeOf(under) }),
  };
}

/** `MARK`. */
function mark(database: Database, key: LaneKey, place: Position): void {
  const { restored, clock } = database;
  const lane = database.lane(key);
  if (lane?.primary !== 'orchestrator') return;
  const known = restored.marks.get(key);
  const fresh = { ...place, underEpoch: lane.epoch, journalSequence: 0, atMs: clock.now() };
  if (known === undefined) restored.marks.set(key, fresh);
  else if (known.underEpoch < lane.epoch || isMovedOn(known, place, clock.now()))
    restored.marks.set(key, { ...fresh, journalSequence: known.journalSequence });
}

function isMovedOn(known: Mark, { generation, sequence }: Position, nowMs: number): boolean {
  const isAhead = generation === known.generation ? sequence > known.sequence : generation > known.generation;
  return isAhead && (known.sequence === 0 || known.atMs < nowMs - MARK_AGE_MS);
}

interface Acceptance {
  readonly service: ServiceName;
  readonly lanes: readonly SettledLane[];
  readonly by: ByPerson;
}

function accept(database: Database, { service, lanes, by }: Acceptance): readonly LaneKey[] {
  const { restored, clock } = database;
  database.synced();
  return lanes.flatMap(({ lane: key, orchestrator }) => {
    const row = restored.open.find(({ lane }) => lane === key && parseLaneKey(key).service === service);
    if (row === undefined || (row.older === 'orchestrator' && row.redelivered === undefined)) return [];
    Object.assign(row, { decidedAtMs: clock.now(), decidedBy: { person: by.person, reason: by.reason } });
    if (row.older === 'journal') catchUp(database, key, orchestrator);
    const lane = database.lane(key);
    if (lane !== undefined)
      restored.marks.set(key, {
        ...placeOf(orchestrator),
        underEpoch: lane.epoch,
        journalSequence: lane.sequence,
        atMs: clock.now(),
      });
    return [key];
  });
}

/** `CATCH_UP`. */
function catchUp(database: Database, key: LaneKey, { epoch, generation, sequence }: Position): void {
  const isKnown = database.lane(key) !== undefined;
  const lane = database.laneOrNew(key);
  const primary = epoch % 2 === 1 ? 'orchestrator' : 'legacy';
  const { number } = database.coverage.current(lane.service);
  if (!isKnown || epoch > lane.epoch) lane.primary = primary;
  lane.epoch = Math.max(lane.epoch, epoch);
  lane.generation = Math.max(lane.generation, generation);
  lane.sequence = Math.max(lane.sequence, sequence);
  lane.deliveredSequence = Math.max(lane.deliveredSequence, sequence);
  lane.settledSequence = Math.max(lane.settledSequence, sequence);
  lane.seededCoverage = primary === 'legacy' ? 0 : number;
  Object.assign(lane, { condition: 'clean', reason: '' });
}
