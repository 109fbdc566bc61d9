import type { ListedRun, ShownRun } from '../api/runs.ts';
import { foundWords, standingNotes } from '../run-result-words.ts';
import {
  aside,
  type Cell,
  code,
  column,
  count,
  link,
  mark,
  type Piece,
  seconds,
  section,
  type Section,
  type Table,
  tableOf,
  times,
  type Tone,
  words,
} from './document.ts';
import { spoken } from './figures.ts';

/** Backfills, reconciliations and repairs, newest first. */
export function runsTable(runs: readonly ListedRun[]): Table {
  return tableOf(
    runs,
    [
      column('run', ({ run, kind }) => link(`${spoken(kind)} ${run}`, `/runs/${run}`)),
      column('state', runState),
      column('result', runResult),
      words('scope', runScope),
      times('started', ({ began_at: at }) => at),
      column('took', tookOf),
      words('by', ({ request: { person = 'the command line', reason = '' } }) => [
        person,
        ...asideOf(reason),
      ]),
    ],
    {
      empty: 'No runs yet',
      advice: 'A backfill copies what legacy holds: crossfade backfill --dry-run shows what it would copy.',
    },
  );
}

const TONES: Readonly<Record<string, Tone>> = { finished: 'good', failed: 'bad' };

/** A finished run is not shown as good while lanes differ. */
export function runState({ state, reason, result }: ListedRun): Cell {
  const tone = (result?.unresolved_lanes ?? 0) > 0 ? 'warn' : (TONES[state] ?? 'warn');
  return [mark(spoken(state), tone), ...asideOf(reason)];
}

/** What a finished reconciliation found. It stays amber until every lane is repaired or accepted. */
export function runResult({ result, request }: ListedRun): Cell {
  if (result === null) return [];
  const isAmber = result.unresolved_lanes + result.not_comparable_lanes + result.flipped_lanes > 0;
  const found = mark(foundWords(result, request.owner), isAmber ? 'warn' : 'plain');
  return [found, ...standingNotes(result).map((note) => aside(note))];
}

/** What was requested. */
export function runScope({ request: { services, owner, scope, of, scheduled } }: ListedRun): Cell {
  return [
    services.join(', '),
    ...(owner === undefined ? [] : [', ', code(owner)]),
    ...(scope === 'changed' ? [', changed lanes only'] : []),
    ...(of === undefined ? [] : [', of ', link(`run ${of}`, `/runs/${of}`)]),
    ...(scheduled === undefined ? [] : [', by schedule']),
  ];
}

function tookOf({ began_at: began, finished_at: finished }: ListedRun): Piece {
  return seconds(finished === null ? null : (Date.parse(finished) - Date.parse(began)) / 1_000);
}

const asideOf = (words: string): Cell => (words === '' ? [] : [aside(words)]);

/** The numbers of a run, by service. */
export function runCounts({ services }: Pick<ShownRun, 'services'>): readonly Section[] {
  return Object.entries(services).map(([service, counts]) => {
    const facts = Object.entries(counts)
      .filter(([name]) => name !== 'digest')
      .map(([name, value]) => ({ label: spoken(name), cell: [count(Number(value))] }));
    return section(service, { kind: 'facts', facts });
  });
}
