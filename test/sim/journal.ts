import { GroupCommit } from '../../src/storage/group-commit.ts';
import type { LaneState } from '../../src/domain/lane.ts';
import type { Intent, Journal, Settlement } from '../../src/migration/ports.ts';
import type { JournalTables, Step } from './journal-tables.ts';

/** Runs one statement on the database: its effect at one instant, its answer at a later one. */
export type Statement = <Result>(what: string, apply: () => Result) => Promise<Result>;

type Entry = { readonly intent: Intent } | { readonly settlement: Settlement };

const OUTCOME_LINGER_MS = 5;
const PROGRESS_LINGER_MS = 10;

/** The journal port over tables in memory: the same group commits as `storage/journal.ts`, without the SQL. */
export function createSimJournal(tables: JournalTables, statement: Statement): Journal {
  const commits = createCommits(tables, statement);
  const progress = createProgress(tables, statement);
  return {
    async append(intent) {
      const state = await commits.add({ intent });
      if (state === undefined) throw new Error('The group commit lost an intent');
      return state;
    },
    async settle(settlement) {
      await commits.add({ settlement });
      if (settlement.seedsUnder === undefined) return;
      await progress.add({ laneId: settlement.ref.laneId, seeded: settlement.seedsUnder });
    },
    delivered: ({ laneId, sequence }) => progress.add({ laneId, delivered: sequence }),
    markDirty: (lane, reason) => statement('mark dirty', () => tables.markDirty(lane, reason)),
    deadLetter: (letter) => statement('dead letter', () => tables.deadLetter(letter)),
    lanes: (keys) => statement('lanes', () => tables.lanes(keys)),
    pending: (lane, after, limit) => statement('pending', () => tables.pending(lane, after, limit)),
    undelivered: (lane, through) => statement('undelivered', () => tables.undelivered(lane, through)),
    beginCopy: (lane) => statement('begin copy', () => tables.beginCopy(lane)),
    finishCopy: (lane, facts) => statement('finish copy', () => tables.finishCopy(lane, facts)),
    stopLane: (lane, reason) => statement('stop lane', () => tables.stopLane(lane, reason)),
    recover: () => statement('recover', () => tables.recover()),
    counts: (service) => statement('counts', () => tables.counts(service)),
  };
}

function createCommits(
  tables: JournalTables,
  statement: Statement,
): GroupCommit<Entry, LaneState | undefined> {
  return new GroupCommit<Entry, LaneState | undefined>({
    async flush(batch) {
      const intents = batch.flatMap((entry) => ('intent' in entry ? [entry.intent] : []));
      const outcomes = batch.flatMap((entry) =>
        'settlement' in entry ? [{ ...entry.settlement.ref, outcome: entry.settlement.outcome }] : [],
      );
      const states = await statement('commit', () => tables.commit(intents, outcomes));
      return batch.map((entry) => ('intent' in entry ? states.get(entry.intent.lane) : undefined));
    },
    keyOf: (entry) => ('intent' in entry ? entry.intent.lane : undefined),
    isUrgent: (entry) => 'intent' in entry,
    lingerMs: OUTCOME_LINGER_MS,
  });
}

function createProgress(tables: JournalTables, statement: Statement): GroupCommit<Step, undefined> {
  return new GroupCommit<Step, undefined>({
    async flush(steps) {
      await statement('advance', () => tables.advance(steps));
      return [];
    },
    keyOf: () => undefined,
    isUrgent: () => false,
    lingerMs: PROGRESS_LINGER_MS,
    batchLimit: 5_000,
  });
}
