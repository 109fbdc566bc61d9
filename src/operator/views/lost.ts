import type { LostItem } from '../api/repairs.ts';
import { aside, code, column, laneLink, mark, type Table, tableOf, times, words } from './document.ts';

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
