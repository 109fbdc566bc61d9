import { GroupCommit } from '../../src/storage/journal/group-commit.ts';
import type { LaneKey, ReplicaId } from '../../src/domain/ids.ts';
import type { LaneState, PlacedLane } from '../../src/domain/lane.ts';
import type { Intent, Journal, LaneView, RecordedOutcome } from '../../src/engine/ports/ports.ts';
import type { ReplicaIdentity } from '../../src/engine/ports/replica-ports.ts';
import type { Database } from './database.ts';
import { takeAbandoned, takeForeign, unwellLanes } from './foreign-rows.ts';
import { JournalTables, type Step } from './journal-tables.ts';
import { cleanSpilled } from './lane-decisions.ts';
import type { LaneRead } from './lane-row.ts';
import { recoverLanes } from './recover-lanes.ts';

/** Runs one statement on the database: its effect at one instant, its answer at a later one. */
export type Statement = <Result>(what: string, apply: () => Result) => Promise<Result>;

type Entry = { readonly intent: Intent } | { readonly outcome: RecordedOutcome };

const OUTCOME_LINGER_MS = 5;
const PROGRESS_LINGER_MS = 10;

/** What a journal of one process works with. */
interface Parts {
  readonly database: Database;
  readonly tables: JournalTables;
  readonly statement: Statement;
  readonly identity: ReplicaIdentity;
}

export interface SimJournalParts {
  readonly database: Database;
  readonly identity: ReplicaIdentity;
  readonly statement: Statement;
}

/** Before a process ends it has all written down that was handed over. */
export interface SimJournal extends Journal {
  drain(): Promise<void>;
}

/** The journal port over tables in memory: the same group commits as `storage/journal.ts`, without the SQL. */
export function createSimJournal({ database, identity, statement }: SimJournalParts): SimJournal {
  const tables = new JournalTables(database);
  const parts = { database, tables, identity, statement };
  const commits = createCommits(parts);
  const progress = createProgress(parts);
  const fences = createFences(parts);
  return {
    append: (intent) => commits.add({ intent }),
    async recordOutcome(outcome) {
      await commits.add({ outcome });
      if (outcome.outcome !== 'applied' || outcome.seedsUnder === undefined) return;
      await progress.add({ laneId: outcome.ref.laneId, seeded: outcome.seedsUnder });
    },
    async resolveLate(late) {
      const row = await statement('resolve late', () => tables.resolveLate(late));
      return row && stateOf(row, parts);
    },
    abandon: (lane, id) => statement(`abandon ${lane}`, () => tables.abandon(lane, id)),
    delivered: async ({ laneId, sequence }) => {
      await progress.add({ laneId, delivered: sequence });
    },
    fence: (lane) => fences.add(lane),
    fences: (lanes) => readFences(parts, lanes),
    async drain() {
      await commits.drain();
      await progress.drain();
    },
    ...readsOf(parts),
    ...changesOf(parts),
    takeForeign: foreignOf(parts),
    unwell: () => {
      const me = identity.id;
      return statement('unwell', () => unwellLanes(database, me));
    },
    recover: (only) => {
      const me = identity.id;
      return statement(`recover ${only ?? ''}`, () => recoverLanes(database, me, only));
    },
  };
}

/** The row as this process sees it: whose home it is, it asks when the answer has come. */
function stateOf({ claim, ...row }: LaneRead, { identity }: Parts): LaneState {
  return { ...row, isHome: claim === identity.id };
}

function statesOf(rows: ReadonlyMap<LaneKey, LaneRead>, parts: Parts): ReadonlyMap<LaneKey, LaneState> {
  return new Map([...rows].map(([key, row]) => [key, stateOf(row, parts)]));
}

type Reads = Pick<
  Journal,
  | 'lanes'
  | 'pending'
  | 'undelivered'
  | 'deliveredSinceCopy'
  | 'lastApplied'
  | 'outdated'
  | 'returned'
  | 'counts'
>;

function readsOf(parts: Parts): Reads {
  const { tables, statement, identity } = parts;
  return {
    lanes: async (keys) => statesOf(await statement('lanes', () => tables.lanes(keys)), parts),
    pending: (lane, after, { writes: limit }) => {
      const me = identity.id;
      return statement('pending', () => tables.pending(me, lane, { after, limit }));
    },
    undelivered: (lane, through, heldUpTo) =>
      statement('undelivered', () => tables.undelivered(lane, through, heldUpTo)),
    deliveredSinceCopy: (lane) => statement('delivered since copy', () => tables.deliveredSinceCopy(lane)),
    lastApplied: (lane, before, from) =>
      statement(`last applied ${lane}`, () => tables.lastApplied(lane, before, from)),
    outdated: (service, coverage) => statement('outdated', () => tables.outdated(service, coverage)),
    returned: (service, coverage) => statement('returned', () => tables.returned(service, coverage)),
    counts: (service) => statement('counts', () => tables.counts(service)),
  };
}

type Changes = Omit<
  Journal,
  | keyof Reads
  | 'append'
  | 'recordOutcome'
  | 'resolveLate'
  | 'abandon'
  | 'delivered'
  | 'takeForeign'
  | 'unwell'
  | 'fence'
  | 'fences'
  | 'recover'
>;

/** A statement says who sends it when it is sent, not when it takes effect. */
function changesOf(parts: Parts): Changes {
  const { database, tables, statement, identity } = parts;
  const changeLane = async (
    what: string,
    apply: () => LaneRead | undefined,
  ): Promise<LaneState | undefined> => {
    const row = await statement(what, apply);
    return row && stateOf(row, parts);
  };
  const asMe = <Result>(apply: (me: ReplicaId) => Result): (() => Result) => {
    const me = identity.id;
    return () => apply(me);
  };
  return {
    markDirty: (lane, reason) =>
      statement(
        `mark dirty ${lane}`,
        asMe((me) => tables.markDirty(me, lane, reason)),
      ),
    deadLetter: (letter) => statement('dead letter', () => tables.deadLetter(letter)),
    nameItems: (ref, items) => statement(`name ${ref.lane}`, () => tables.nameItems(ref, items)),
    cleanSpilled: (lane) => statement(`clean ${lane}`, () => cleanSpilled(database, lane)),
    stopLane: (lane, reason) => statement(`stop ${lane}`, () => tables.stopLane(lane, reason)),
    beginCopy: (lane, above) =>
      changeLane(
        `begin copy ${lane}`,
        asMe((me) => tables.beginCopy(me, lane, above)),
      ),
    finishCopy: (lane, facts) => changeLane(`finish copy ${lane}`, () => tables.finishCopy(lane, facts)),
    hold: (lane, seconds) =>
      changeLane(
        `hold ${lane}`,
        asMe((me) => tables.hold(me, lane, seconds)),
      ),
    releaseHold: (lane) =>
      statement(
        `release ${lane}`,
        asMe((me) => tables.releaseHold(me, lane)),
      ),
    tellHome: (lane) =>
      changeLane(
        `tell home ${lane}`,
        asMe((me) => tables.tellHome(me, lane)),
      ),
  };
}

/** Told once more, until the next question says that the answer arrived. */
function foreignOf(parts: Parts): Journal['takeForeign'] {
  const { database, statement, identity } = parts;
  let seen: ReadonlyMap<number, number> = new Map();
  return async () => {
    const asked = identity.id;
    await statement('take abandoned', () => takeAbandoned(database, asked));
    const [me, told] = [identity.id, seen];
    const lanes = await statement('take foreign', () => takeForeign(database, me, told));
    seen = new Map([...lanes.values()].map(({ row, count }) => [row.id, count]));
    return new Map([...lanes].map(([key, { row }]) => [key, stateOf(row, parts)]));
  };
}

function createCommits(parts: Parts): GroupCommit<Entry, PlacedLane | undefined> {
  const { tables, statement, identity } = parts;
  return new GroupCommit<Entry, PlacedLane | undefined>({
    async flush(batch) {
      const me = identity.id;
      const intents = batch.flatMap((entry) => ('intent' in entry ? [entry.intent] : []));
      const outcomes = batch.flatMap((entry) =>
        'outcome' in entry ? [{ ...entry.outcome.ref, outcome: entry.outcome.outcome }] : [],
      );
      const rows = await statement('commit', () => tables.commit(me, intents, outcomes));
      return batch.map((entry) => {
        const row = 'intent' in entry ? rows.get(entry.intent.lane) : undefined;
        return row && { ...stateOf(row, parts), writes: row.writes };
      });
    },
    keyOf: (entry) => ('intent' in entry ? entry.intent.lane : undefined),
    isUrgent: (entry) => 'intent' in entry,
    lingerMs: OUTCOME_LINGER_MS,
  });
}

function createProgress({ tables, statement, identity }: Parts): GroupCommit<Step, undefined> {
  return new GroupCommit<Step, undefined>({
    async flush(steps) {
      const me = identity.id;
      await statement('advance', () => tables.advance(me, steps));
      return [];
    },
    keyOf: () => undefined,
    isUrgent: () => false,
    lingerMs: PROGRESS_LINGER_MS,
    batchLimit: 5_000,
  });
}

async function readFences(parts: Parts, lanes: readonly LaneKey[]): Promise<ReadonlyMap<LaneKey, LaneView>> {
  const views = await parts.statement('fences', () => parts.tables.fences(lanes));
  return new Map(
    [...views].map(([lane, { row, ...rest }]) => [lane, { ...rest, state: stateOf(row, parts) }]),
  );
}

function createFences(parts: Parts): GroupCommit<LaneKey, LaneView | undefined> {
  return new GroupCommit<LaneKey, LaneView | undefined>({
    async flush(lanes) {
      const views = await readFences(parts, lanes);
      return lanes.map((lane) => views.get(lane));
    },
    keyOf: () => undefined,
    isUrgent: () => true,
    lingerMs: 0,
  });
}
