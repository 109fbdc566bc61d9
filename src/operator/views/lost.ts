import type { LostItem } from '../api/repairs.ts';
import { aside, code, column, laneLink, mark, type Table, tableOf, times, words } from './document.ts';
import { counted } from './figures.ts';

const DIGEST_SHOWN = 12;

/** Items that legacy lost. The items of a lane are in their stored order. */
export function lostTable(items: readonly LostItem[]): Table {
  const lanes = Map.groupBy(items, laneOf);
  const placeOf = (item: LostItem): string => {
    const ofLane = lanes.get(laneOf(item)) ?? [];
    return `${ofLane.indexOf(item) + 1}/${ofLane.length}`;
  };
  return tableOf(
    items,
    [
      column('lane', (item) => laneLink(laneOf(item))),
      column('item', (item) => mark(placeOf(item), 'warn')),
      times('stored', ({ stored_at: at }) => at),
      words('shape', ({ shape }) => shape ?? 'unknown'),
      words('memory id', ({ memory_id: id, digest }) => [
        code(id),
        aside('digest ', code(digest.slice(0, DIGEST_SHOWN))),
      ]),
      times('found', ({ found_at: at }) => at),
    ],
    { empty: 'No lost items', advice: 'Items that legacy lost without an explanation are listed here.' },
  );
}

const laneOf = ({ service, owner }: LostItem): string => `${service}/${owner}`;

interface DecidedItems {
  readonly decision: 'accept' | 'restore';
  /** Absent: one. */
  readonly restored?: number | undefined;
  /** Lost items of the lane that still wait for a decision. */
  readonly waiting: number;
}

/** After a person has restored lost items, or accepted a loss. */
export function decidedItemsWords({ decision, restored = 1, waiting }: DecidedItems): string {
  const done =
    decision === 'accept'
      ? 'The loss is accepted.'
      : `${counted(restored, 'item is', 'items are')} stored on legacy again.`;
  const rest =
    waiting === 0
      ? 'Its lane has no other lost item.'
      : `${counted(waiting, 'more lost item')} of the lane ${waiting === 1 ? 'waits' : 'wait'} for a decision.`;
  return `${done} ${rest}`;
}
