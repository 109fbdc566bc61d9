import type { Database, Session } from '../../storage/database.ts';
import { Parameters, planned } from '../memories/filter.ts';
import { indexedType } from './prepare-vectors.ts';
import { fromSelected } from './selected-vectors.ts';
import type { Nearest, NearestQuery, Neighbour, VectorStore } from './vector-store.ts';

// The index keeps so many candidates at hand: the most that pgvector allows, and the most that one page holds.
const MOST_CANDIDATES = 1_000;
const LEAST_CANDIDATES = 40;
// The planner has to know how many are wanted; each number makes a statement of its own.
const DEPTHS = [10, 40, 100, 200, 500, 1_000] as const;
// With filters that few rows pass, the scan of the index goes on until enough did or so many were looked at.
const MOST_SCANNED = 40_000;

interface FoundRow {
  readonly memory_id: string;
  readonly similarity: number;
  readonly total: number;
}

/** Compares in the database: through its HNSW index, or with every vector of the selection. */
export function createPgvectorStore(database: Database): VectorStore {
  return {
    name: 'pgvector',
    async nearest(query) {
      if (query.exact || !fitsIndex(query)) return compareAll(database, query);
      const found = await askIndex(database, query);
      // The scan may have given up before the filters let enough through: then only a look at all of them tells.
      if (found.length < query.depth) return compareAll(database, query);
      const least = query.minSimilarity ?? -2;
      const neighbours = found
        .filter(({ similarity }) => similarity >= least)
        .toSorted(nearestFirst)
        .slice(0, query.depth);
      return { neighbours, total: undefined, store: 'pgvector', exact: false };
    },
    stored: () => {},
    removed: () => {},
    start: async () => {},
    stop: async () => {},
  };
}

function fitsIndex({ space, depth }: NearestQuery): boolean {
  return indexedType(space.dimension) !== undefined && depth <= MOST_CANDIDATES;
}

/** As pgvector reads it. */
function vectorText(vector: NearestQuery['vector']): string {
  return `[${vector.join(',')}]`;
}

/** With every vector of the selection. */
export async function compareAll(session: Session, query: NearestQuery): Promise<Nearest> {
  const { space, vector, selection, depth, minSimilarity } = query;
  const parameters = new Parameters();
  const asked = `${parameters.bind(vectorText(vector))}::vector(${space.dimension})`;
  const from = fromSelected(space, selection, parameters);
  const compared = `select e.memory_id, 1 - (e.embedding::vector(${space.dimension}) <=> ${asked}) as similarity ${from}`;
  // Materialized: otherwise the planner asks every vector of the installation whether it is near enough, before it looks whose it is.
  const [how, near] =
    minSimilarity === undefined
      ? ['', '']
      : ['materialized', `where similarity >= ${parameters.bind(minSimilarity)}::float8`];
  // Ordered by the similarity, not by the distance: no index knows that order.
  const rows = await session.query<FoundRow>(
    planned(
      `with compared as ${how} (${compared})
       select memory_id, similarity, count(*) over () as total from compared ${near}
       order by similarity desc, memory_id limit ${parameters.bind(depth)}`,
      selection,
    ),
    parameters.values,
  );
  return { neighbours: neighboursOf(rows), total: rows[0]?.total ?? 0, store: 'pgvector', exact: true };
}

/** The nearest so many; some more where that lets fewer statements do. */
async function askIndex(session: Session, query: NearestQuery): Promise<Neighbour[]> {
  const { space, vector, selection } = query;
  const depth = DEPTHS.find((least) => least >= query.depth) ?? query.depth;
  const parameters = new Parameters();
  const type = indexedType(space.dimension) ?? 'vector';
  const asked = `${parameters.bind(vectorText(vector))}::${type}(${space.dimension})`;
  const distance = `e.embedding::${type}(${space.dimension}) <=> ${asked}`;
  const from = fromSelected(space, selection, parameters);
  // The index gives an order; the distance itself is computed for each row of it, so it is asked for once.
  const rows = await session.query<{ readonly memory_id: string; readonly distance: number }>(
    planned(
      `select e.memory_id, ${distance} as distance ${from} and ${searchingAmong(depth)} order by distance limit ${depth}`,
      selection,
    ),
    parameters.values,
  );
  return rows.map((row) => ({ memoryId: row.memory_id, similarity: 1 - row.distance }));
}

/** Sets how the index is scanned, for the one statement that it is a condition of, before the scan begins. Always true. */
function searchingAmong(depth: number): string {
  const candidates = Math.min(MOST_CANDIDATES, Math.max(LEAST_CANDIDATES, depth));
  const settings = { iterative_scan: 'strict_order', max_scan_tuples: MOST_SCANNED, ef_search: candidates };
  const set = Object.entries(settings).map(([name, value]) => `set_config('hnsw.${name}', '${value}', true)`);
  return `(select concat(${set.join(', ')})) is not null`;
}

export function nearestFirst(one: Neighbour, other: Neighbour): number {
  return other.similarity - one.similarity || (one.memoryId < other.memoryId ? -1 : 1);
}

function neighboursOf(rows: readonly FoundRow[]): Neighbour[] {
  return rows.map(({ memory_id, similarity }) => ({ memoryId: memory_id, similarity }));
}
