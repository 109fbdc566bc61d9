import type { EndFact, EndOfService, ShownForeignChange } from '../api/ends.ts';
import { SCRATCH_WORDS } from '../words.ts';
import {
  column,
  count,
  fact,
  facts,
  instant,
  mark,
  seconds,
  type Section,
  section,
  type Table,
  tableOf,
  times,
  words,
} from './document.ts';
import { counted } from './figures.ts';

const STATES: Readonly<Record<EndOfService['state'], string>> = {
  open: 'legacy takes writes',
  read_only: 'legacy takes no more writes',
  complete: 'complete: nothing is sent to legacy any more',
};

/** Whether legacy takes writes. */
export const endWords = (service: string, state: EndOfService['state']): string =>
  `${service}: ${STATES[state]}.`;

/** How far a service is from the end of its migration. */
export function endSections(end: EndOfService): readonly Section[] {
  return [
    section('State', ...stateBlocks(end)),
    ...(end.read_only.length === 0 ? [] : [section('Needed to become read-only', needsTable(end.read_only))]),
    ...(end.completion.length === 0 ? [] : [section('Needed to be completed', needsTable(end.completion))]),
    ...(end.foreign.length === 0 ? [] : [section('Not done by Crossfade', foreignTable(end.foreign))]),
    section(
      'What a completion ends',
      tableOf(end.no_longer_possible, [words('no longer possible', (what) => what)], { empty: 'Nothing' }),
    ),
    ...(end.leftovers.length === 0
      ? []
      : [
          section(
            'Left over',
            tableOf(end.leftovers, [words('to remove', (what) => what)], { empty: 'Nothing' }),
          ),
        ]),
  ];
}

function stateBlocks(end: EndOfService) {
  const { census, backup, kept } = end;
  return [
    facts(
      fact('writes', STATES[end.state]),
      fact('read-only since', instant(end.since)),
      fact('last write settled', instant(end.settled_at)),
      fact('without a foreign writer since', instant(end.clock_began_at)),
      fact('required', seconds(end.required_seconds)),
      fact('restarts', count(end.clock_restarts)),
      fact('lanes', count(end.lanes)),
      ...(end.state === 'open'
        ? []
        : [fact('owners that came after legacy became read-only', count(end.born_since))]),
      fact('owners on legacy that are not copied yet', count(end.not_copied)),
      fact('given up', end.given_up.length === 0 ? 'none' : end.given_up.join(', ')),
      fact(
        'last comparison',
        census === null
          ? 'none yet'
          : `${counted(census.equal, 'lane')} of ${census.lanes} equal, ${census.unproven} unproven, ${counted(census.forgotten_items, 'item')} forgotten by legacy`,
      ),
      fact(
        'last backup',
        backup === null
          ? 'none yet'
          : `${backup.folder}, restored and read back; ${SCRATCH_WORDS[backup.scratch_instance]}`,
      ),
      fact(
        'kept in the journal for a way back',
        `about ${megabytes(kept.bytes_estimated)} in the whole time, at ${counted(kept.writes_per_day, 'write')} a day`,
      ),
      fact('facts', end.facts),
    ),
  ];
}

function megabytes(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(1)} MiB`;
}

function needsTable(needs: readonly EndFact[]): Table {
  return tableOf(
    needs,
    [
      column('', ({ met: isMet }) => (isMet ? mark('ok', 'good') : mark('missing', 'bad'))),
      words('condition', ({ says }) => says),
      column('can be accepted as', ({ accept, met: isMet }) => (isMet ? '' : (accept ?? ''))),
    ],
    { empty: 'Nothing' },
  );
}

function foreignTable(changes: readonly ShownForeignChange[]): Table {
  return tableOf(
    changes,
    [
      column('kind', ({ kind }) => (kind === 'writer' ? mark('writer', 'bad') : mark('reader', 'warn'))),
      words('owner', ({ owner }) => owner),
      words('what', ({ changes: what }) =>
        Object.entries(what)
          .map(([name, times]) => `${times} ${name}`)
          .join(', '),
      ),
      words('by', ({ writers }) => writers.join(', ')),
      times('found', ({ found_at: at }) => at),
      times('last seen', ({ seen_at: at }) => at),
    ],
    { empty: 'Nothing' },
  );
}
