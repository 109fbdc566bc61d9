import type { ExplainedDecision, ExplainedWrite, Explanation } from '../api/explain.ts';
import {
  type Cell,
  code,
  column,
  counts,
  mark,
  section,
  type Section,
  type Table,
  tableOf,
  times,
  words,
} from './document.ts';
import { firstLane, flipFactsTable } from './flips.ts';
import { spoken } from './figures.ts';

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
  readonly flips?: Explanation['flips'];
  readonly writes: readonly ShownWrite[];
  readonly differences: readonly ShownDifference[];
}

type ShownFlip = NonNullable<Explanation['flips']>['history'][number];

/** The flips of the lane step by step. While legacy is primary, also what the next flip needs. */
function flipSections(flips: NonNullable<Explanation['flips']>): Section[] {
  const { primary, facts, goes_first: first, history } = flips;
  return [
    ...(primary === 'legacy' && first !== null ? [section('Goes first', firstLane(first))] : []),
    ...(primary === 'legacy' ? [section('What a flip needs', flipFactsTable(facts))] : []),
    ...(history.length === 0 ? [] : [section('Flips of the lane', flipsTable(history))]),
  ];
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
