import type {
  ExplainedDecision,
  ExplainedWrite,
  Explanation,
  LaneFlips,
  LaneReturn,
} from '../api/explain.ts';
import {
  type Block,
  type Cell,
  code,
  column,
  counts,
  instant,
  mark,
  type Mark,
  note,
  section,
  type Section,
  type Table,
  tableOf,
  times,
  words,
} from './document.ts';
import { firstLane, flipFactsTable, heldFlips, nextAttempt } from './flips.ts';
import { counted, spoken } from './figures.ts';

type Decided = readonly [action: string, ExplainedDecision];

/** What an owner's requests meet now, and what is stored of the owner. Writes and differences are newest first. */
export function explainedSections({ decisions, flips, writes, differences }: Explained): readonly Section[] {
  return [
    section('Decisions now', decisionsTable(decisions)),
    ...(flips === undefined ? [] : flipSections(flips)),
    section('Last writes', writesTable(writes)),
    ...(differences.length === 0 ? [] : [section('Differences found here', differencesTable(differences))]),
  ];
}

/** The members that are shown. */
export interface Explained {
  readonly decisions: Explanation['decisions'];
  readonly flips?: LaneFlips | undefined;
  readonly writes: readonly ShownWrite[];
  readonly differences: readonly ShownDifference[];
}

type ShownFlip = LaneFlips['history'][number];

/** The flips and returns of the lane step by step. While legacy is primary, also what the next flip needs. */
function flipSections(flips: LaneFlips): Section[] {
  const { history, returns } = flips;
  return [
    ...(flips.hold === null ? [] : [section('Writes wait', heldWrites(flips.hold))]),
    ...(flips.primary === 'legacy' ? nextFlip(flips) : []),
    ...(history.length === 0 ? [] : [section('Flips of the lane', flipsTable(history))]),
    ...(returns.length === 0 ? [] : [section('Returns to legacy', returnsTable(returns))]),
  ];
}

function heldWrites({ replica, until }: NonNullable<LaneFlips['hold']>): Block {
  return note(
    'warn',
    'New writes wait for the replica ',
    code(replica),
    ' until ',
    instant(until),
    ' at most.',
  );
}

function nextFlip({ facts, goes_first: first, held, failures }: LaneFlips): Section[] {
  const notes = [
    ...(held === null ? [] : [heldFlips(held)]),
    ...(failures === null ? [] : [failedFlips(failures)]),
  ];
  return [
    ...(first === null ? [] : [section('Goes first', firstLane(first))]),
    section('What a flip needs', ...notes, flipFactsTable(facts)),
  ];
}

/** The pause before the next attempt grows with each failure. */
function failedFlips(failures: NonNullable<LaneFlips['failures']>): Block {
  const { failed, reason, first_at: first, last_at: last, due_in_seconds: seconds } = failures;
  return note(
    'warn',
    `${counted(failed, 'flip')} failed since `,
    instant(first),
    ', the last at ',
    instant(last),
    `: ${spoken(reason)}. The next attempt is due ${nextAttempt(seconds)}.`,
  );
}

/** Rollbacks that contain the lane. */
function returnsTable(returns: LaneFlips['returns']): Table {
  return tableOf(
    returns,
    [
      counts('rollback', ({ rollback }) => rollback),
      times('began', ({ began_at: at }) => at),
      words('by', ({ person, reason }) => `${person}: ${reason}`),
      column('state', returnState),
      words('obstacle', ({ obstacle }) => (obstacle === null ? '' : spoken(obstacle))),
      counts('failed attempts', ({ failed }) => failed),
      column('next attempt', ({ due_in_seconds: seconds }) => (seconds === null ? '' : nextAttempt(seconds))),
      times('returned', ({ returned_at: at }) => at),
      counts('lost writes', ({ lost }) => lost),
    ],
    { empty: 'The lane was never returned' },
  );
}

function returnState({ state, stopped_by: person }: LaneReturn): Mark {
  return mark(person === null ? state : `stopped by ${person}`, state === 'returned' ? 'good' : 'warn');
}

function flipsTable(history: readonly ShownFlip[]): Table {
  return tableOf(
    history,
    [
      counts('epoch', ({ epoch }) => epoch),
      times('at', ({ at }) => at),
      column('primary for writes', ({ primary }) => primary),
      words('decided by', ({ facts }) =>
        Object.entries(facts)
          .map(([name, value]) => `${spoken(name)} ${String(value)}`)
          .join(', '),
      ),
      words('compared afterwards', ({ comparison }) => comparison ?? 'not yet'),
    ],
    { empty: 'The lane was never flipped' },
  );
}

/** The decision that would be made now for each action. */
function decisionsTable(decisions: Explanation['decisions']): Table {
  return tableOf<Decided>(
    Object.entries(decisions),
    [
      column('action', ([action]) => code(action)),
      column('answered by', ([, { primary }]) => primary),
      column('why', ([, { reason }]) => spoken(reason)),
      column('second backend', ([, decided]) => secondBackend(decided)),
      words('blocked by', ([, { limit }]) => limitWords(limit)),
    ],
    { empty: 'No action of this service has an owner' },
  );
}

function secondBackend({
  dual_write: dual,
  shadow_read: shadow,
  shadow_reason: why,
}: ExplainedDecision): string {
  return why === undefined ? `dual write: ${yes(dual)}` : `shadow read: ${yes(shadow)} (${spoken(why)})`;
}

const yes = (is: boolean): string => (is ? 'yes' : 'no');

function limitWords(limit: ExplainedDecision['limit']): string {
  if (limit === undefined || limit.lowered_by === null || limit.at_most === 100) return '';
  const because = limit.because.length === 0 ? '' : `: ${limit.because.join(', ')}`;
  return `${limit.lowered_by}, at most ${limit.at_most} %${because}`;
}

type ShownWrite = Pick<
  ExplainedWrite,
  'sequence' | 'operation_id' | 'action' | 'accepted_at' | 'outcome' | 'standing' | 'dead_letter'
>;

function writesTable(writes: readonly ShownWrite[]): Table {
  return tableOf(
    writes,
    [
      counts('write', ({ sequence }) => sequence),
      times('accepted', ({ accepted_at: at }) => at),
      column('action', ({ action }) => code(action)),
      column('legacy', ({ outcome }) => outcome ?? 'not known yet'),
      column('orchestrator', standingOf),
      words('operation', ({ operation_id: id }) => code(id)),
    ],
    {
      empty: 'No stored writes',
      advice: 'Delivered writes are removed after the retention period of the journal.',
    },
  );
}

function standingOf({ standing, dead_letter: letter }: ShownWrite): Cell {
  return [letter === null ? spoken(standing) : mark(`refused (${letter})`, 'bad')];
}

type ShownDifference = Pick<Explanation['differences'][number], 'at' | 'action' | 'operation_id'>;

function differencesTable(differences: readonly ShownDifference[]): Table {
  return tableOf(
    differences,
    [
      times('found', ({ at }) => at),
      column('action', ({ action }) => code(action)),
      words('operation', ({ operation_id: id }) => code(id)),
    ],
    { empty: 'No differences' },
  );
}
