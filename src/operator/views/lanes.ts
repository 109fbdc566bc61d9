import type { ShownFlipFact } from '../api/flips.ts';
import type { ListedLane } from '../api/lanes.ts';
import {
  aside,
  type Cell,
  column,
  counts,
  link,
  type Mark,
  mark,
  type Table,
  tableOf,
  times,
  type Tone,
  words,
} from './document.ts';
import { spoken, counted } from './figures.ts';
import { reasonOf } from './flips.ts';

/** Lanes of one service. */
export function lanesTable(service: string, lanes: readonly ListedLane[]): Table {
  return tableOf(
    lanes,
    [
      words('owner', ({ owner }) => link(owner, `/lanes/${service}/${encodeURIComponent(owner)}`)),
      column('condition', conditionOf),
      times('last write', ({ last_write_at: at }) => at),
      counts('writes', ({ sequence }) => sequence),
      counts('delivered', ({ delivered_sequence: delivered }) => delivered),
      counts('generation', ({ generation }) => generation),
      column('seeded', seededOf),
      column('flip', flipOf),
    ],
    { empty: 'No lanes found' },
  );
}

function conditionOf(lane: ListedLane): Cell {
  const found = laneDifferences(lane);
  return [
    laneCondition(lane),
    ...(lane.reason === '' ? [] : [aside(spoken(lane.reason))]),
    ...(found.length === 0 ? [] : [aside(...found)]),
  ];
}

/** Where its writes go, or what keeps them from moving. */
function flipOf({ primary, blocked_by: blockers = [] }: ListedLane): Cell {
  if (primary === 'orchestrator') return ['on the orchestrator'];
  return blockers.length === 0 ? [mark('eligible', 'good')] : [aside(blockers.map(reasonOf).join(', '))];
}

/** Why no lane of the service moves now, whatever its own facts. Undefined if nothing stops them. */
export function standstillWords(blockers: readonly ShownFlipFact[] = []): string | undefined {
  return blockers.length === 0 ? undefined : `no lane is flipped now: ${blockers.map(reasonOf).join(', ')}`;
}

const TONES: Readonly<Record<string, Tone>> = { clean: 'good', stopped: 'bad' };

/** A clean lane with an open difference is not shown as good. */
export function laneCondition({ condition = 'never written', differences = 0 }: Partial<ListedLane>): Mark {
  const shown = condition === 'clean' && differences > 0 ? 'differs' : condition;
  return mark(spoken(shown), TONES[shown] ?? 'warn');
}

/** Differences that a reconciliation found and that are open. */
export function laneDifferences({ differences = 0, found_by_run: run }: Partial<ListedLane>): Cell {
  return differences === 0
    ? []
    : [counted(differences, 'difference'), ', found by ', link(`run ${run}`, `/runs/${run}`)];
}

function seededOf({ seeded_coverage: coverage, exceptions }: ListedLane): Cell {
  const left = exceptions === 0 ? [] : [aside(counted(exceptions, 'exception'))];
  return [coverage > 0 ? 'yes' : 'not yet', ...left];
}
