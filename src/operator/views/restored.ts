import type { RestoredLane } from '../api/restored.ts';
import {
  aside,
  column,
  counts,
  laneLink,
  mark,
  type Mark,
  type Table,
  tableOf,
  times,
  words,
} from './document.ts';
import { counted } from './figures.ts';

const STATES = {
  waits: mark('waits for a decision', 'bad'),
  redelivered: mark('has its writes again, waits for a decision', 'warn'),
  incomplete: mark('the journal lacks some of its writes, waits for a decision', 'bad'),
  accepted: mark('accepted', 'good'),
} as const satisfies Record<RestoredLane['state'], Mark>;

/** Lanes that a restored database has only in part. */
export function restoredTable(lanes: readonly RestoredLane[]): Table {
  return tableOf(
    lanes,
    [
      column('lane', ({ lane }) => laneLink(lane)),
      column('state', ({ state }) => STATES[state]),
      words('older', ({ older, journal, orchestrator }) => [
        older,
        aside('journal ', positionOf(journal), ', orchestrator ', positionOf(orchestrator)),
      ]),
      counts('writes given again', ({ redelivered }) => redelivered),
      times('found', ({ found_at: at }) => at),
      words('decision', ({ decided_by: by, decided_reason: why }) =>
        by === null ? '' : `${by}: ${why ?? ''}`,
      ),
    ],
    {
      empty: 'No lanes of a restored database',
      advice: 'The journal and the orchestrator agree about every flipped lane.',
    },
  );
}

/** After a person has accepted lanes of a service. */
export function answeringWords(
  service: string,
  { accepted, waiting }: { readonly accepted: number; readonly waiting: number },
): string {
  return `${counted(accepted, 'lane answers', 'lanes answer')} again. ${counted(waiting, 'lane')} of ${service} still ${waiting === 1 ? 'waits' : 'wait'}.`;
}

/** Epoch, generation and sequence. */
function positionOf({ epoch, generation, sequence }: RestoredLane['journal']): string {
  return `${epoch}.${generation}.${sequence}`;
}
