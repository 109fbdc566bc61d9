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
import { spoken } from './figures.ts';

type Decided = readonly [action: string, ExplainedDecision];

/** What an owner's requests meet now, and what is stored of the owner. Writes and differences are newest first. */
export function explainedSections({ decisions, writes, differences }: Explained): readonly Section[] {
  return [
    section('Decisions now', decisionsTable(decisions)),
    section('Last writes', writesTable(writes)),
    ...(differences.length === 0 ? [] : [section('Differences found here', differencesTable(differences))]),
  ];
}

/** The members that are shown. */
export interface Explained {
  readonly decisions: Explanation['decisions'];
  readonly writes: readonly ShownWrite[];
  readonly differences: readonly ShownDifference[];
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
