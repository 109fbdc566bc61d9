import { laneKeyOf } from '../../src/domain/ids.ts';
import type { RunEdges } from '../../src/engine/parts.ts';
import type { PendingWrite } from '../../src/engine/ports/ports.ts';
import type { Database } from './database.ts';
import type { Statement } from './journal.ts';

/** What comparisons of whole lanes need of `storage/runs`, over the tables in memory. No run is ever begun, and nobody decides. */
export function createRunEdges(database: Database, statement: Statement): RunEdges {
  const { baselines } = database;
  const edges: {
    readonly [Edge in 'store' | 'baselines' | 'history' | 'lostItems']: Partial<RunEdges[Edge]>;
  } = {
    store: { open: async () => [] },
    baselines: {
      save: (entry) => statement('save baseline', () => database.keepBaseline(entry.lane, entry)),
      of: (lane) => statement('baseline', () => baselines.get(lane)),
      summaries: (lanes) =>
        statement('baselines', () => {
          const known = lanes.flatMap((lane) => {
            const baseline = baselines.get(lane);
            if (baseline === undefined) return [];
            const { sequence, items } = baseline;
            return [[lane, { sequence, items: items.length, digest: '', atMs: 0 }] as const];
          });
          return new Map(known);
        }),
    },
    history: {
      between: (lane, after, through) =>
        statement('write history', () => {
          const row = database.lane(lane);
          const found: PendingWrite[] = [];
          for (let sequence = after + 1; sequence <= through; sequence += 1) {
            const write = row?.writes.get(sequence);
            // What was pruned: nobody knows.
            if (row === undefined || write === undefined) return undefined;
            const outcome = row.outcomes.get(sequence) ?? 'unknown';
            if (outcome === 'applied' || outcome === 'unknown')
              found.push({ ...write, isUncertain: outcome === 'unknown' });
          }
          return found;
        }),
    },
    lostItems: {
      found: (service, owner, items) =>
        statement('lost items', () => {
          const key = laneKeyOf(service, owner);
          const ids = new Set(items.map(({ memoryId }) => memoryId));
          const others = (database.lostItems.get(key) ?? []).filter(({ memoryId }) => !ids.has(memoryId));
          database.lostItems.set(key, [...others, ...items]);
        }),
      waiting: (service, owner) =>
        statement('lost items that wait', () =>
          (database.lostItems.get(laneKeyOf(service, owner)) ?? []).map((item) => ({
            storedAt: null,
            shape: null,
            ...item,
            service,
            owner,
            foundAtMs: 0,
          })),
        ),
    },
  };
  // A call of what is left out here would throw at whoever makes it, and be a violation.
  return edges as RunEdges;
}
