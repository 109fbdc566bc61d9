import type { LaneCounts } from '../../src/engine/ports/journal-facts.ts';
import type { LateReply } from '../../src/engine/ports/ports.ts';
import type { LaneKey } from '../../src/domain/ids.ts';
import type { Database } from './database.ts';
import { unsettledOf, type LaneRow, type StoredWrite } from './lane-row.ts';

/** The condition of `resolveLate` in `storage/decisions-sql.ts`: nothing is wrong with the lane but this one outcome. */
export function isResolvedBy(
  { ref, generation, seedsUnder = 0 }: LateReply,
  lane: LaneRow,
  openCoverage: number,
): boolean {
  const isTheOnlyTrouble =
    lane.condition === 'dirty' && ['unknown_outcome', 'unsettled'].includes(lane.reason);
  const isSeeded = openCoverage > 0 && Math.max(lane.seededCoverage, seedsUnder) === openCoverage;
  const isNewest = lane.sequence === ref.sequence && lane.generation === generation;
  const isAnyOther = unsettledOf(lane).some(({ sequence }) => sequence !== ref.sequence);
  const isUnknown = lane.outcomes.get(ref.sequence) === 'unknown';
  const isCovered = lane.settledSequence >= ref.sequence;
  return isUnknown && isTheOnlyTrouble && isSeeded && isNewest && !isCovered && !isAnyOther;
}

/** `CLEAN_SPILLED`. */
export function cleanSpilled(database: Database, key: LaneKey): void {
  database.synced();
  const lane = database.lane(key);
  if (lane?.condition !== 'dirty' || lane.reason !== 'spilled') return;
  const { number } = database.coverage.current(lane.service);
  if (number === 0 || lane.seededCoverage !== number || unsettledOf(lane).length > 0) return;
  Object.assign(lane, { condition: 'clean', reason: '', foreignCount: lane.foreignCount + 1 });
}

/** `COUNTS`, of the lanes of one service. */
export function countLanes(lanes: readonly LaneRow[], openCoverage: number): LaneCounts {
  const count = (test: (lane: LaneRow) => boolean): number => lanes.filter(test).length;
  const sum = (of: (lane: LaneRow) => number): number => lanes.reduce((total, lane) => total + of(lane), 0);
  return {
    lanes: lanes.length,
    flipped: count(({ primary }) => primary === 'orchestrator'),
    seeded: count(
      ({ seededCoverage, primary }) =>
        primary === 'orchestrator' || (seededCoverage === openCoverage && openCoverage > 0),
    ),
    dirty: count(({ condition }) => condition === 'dirty'),
    copying: count(({ condition }) => condition === 'copying'),
    stopped: count(({ condition }) => condition === 'stopped'),
    excepted: count(({ exceptions }) => exceptions > 0),
    differs: 0,
    legacyDiffers: 0,
    deadLetters: sum(({ deadLetters }) => deadLetters.size),
    unknown: sum((lane) => unsettledOf(lane).filter((write) => isRecorded(write, lane)).length),
    lostItems: 0,
    restored: 0,
  };
}

/** Whether it is written down that nobody knows the outcome of a write. */
function isRecorded({ sequence }: StoredWrite, { outcomes }: LaneRow): boolean {
  return outcomes.has(sequence);
}
