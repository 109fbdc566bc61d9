import type { Database, Session } from '../../storage/database.ts';
import { Parameters, planned } from '../memories/filter.ts';
import { indexedType } from './prepare-vectors.ts';
import { fromSelected } from './selected-vectors.ts';
import type { Nearest, NearestQuery, Neighbour, VectorStore } from './vector-store.ts';

// Number of candidates of the index scan: the limit of pgvector, and of one page.
const MOST_CANDIDATES = 1_000;
const LEAST_CANDIDATES = 40;
// The planner needs the number of results, so each number is a separate statement.
const DEPTHS = [10, 40, 100, 200, 500, 1_000] as const;
// With selective filters the index scan continues until it has enough rows, or has read this many.
const MOST_SCANNED = 40_000;

interface FoundRow {
  readonly memory_id: string;
  readonly similarity: number;
  readonly total: number;
}

/** Compares in the database, with its HNSW index or with every vector of the selection. */
export function createPgvectorStore(database: Database): VectorStore {
  return {
    name: 'pgvector',
    async nearest(query) {
      if (query.exact || !fitsIndex(query)) return compareAll(database, query);
      const found = await askIndex(database, query);
      // The scan may have stopped before enough rows passed the filters. Then all vectors are compared.
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

/** In pgvector's text format. */
function vectorText(vector: NearestQuery['vector']): string {
  return `[${vector.join(',')}]`;
}

/** Compares every vector of the selection. */
export async function compareAll(session: Session, query: NearestQuery): Promise<Nearest> {
  const { space, vector, selection, depth, minSimilarity } = query;
  const parameters = new Parameters();
  const asked = `${parameters.bind(vectorText(vector))}::vector(${space.dimension})`;
  const from = fromSelected(space, selection, parameters);
  const compared = `select e.memory_id, 1 - (e.embedding::vector(${space.dimension}) <=> ${asked}) as similarity ${from}`;
  // Materialized, because otherwise the planner compares every vector of the installation before it applies the selection.
  const [how, near] =
    minSimilarity === undefined
      ? ['', '']
      : ['materialized', `where similarity >= ${parameters.bind(minSimilarity)}::float8`];
  // Ordered by similarity instead of distance, because no index has that order.
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

/** The nearest neighbours, possibly more than requested, so that fewer different statements are needed. */
async function askIndex(session: Session, query: NearestQuery): Promise<Neighbour[]> {
  const { space, vector, selection } = query;
  const depth = DEPTHS.find((least) => least >= query.depth) ?? query.depth;
  const parameters = new Parameters();
  const type = indexedType(space.dimension) ?? 'vector';
  const asked = `${parameters.bind(vectorText(vector))}::${type}(${space.dimension})`;
  const distance = `e.embedding::${type}(${space.dimension}) <=> ${asked}`;
  const from = fromSelected(space, selection, parameters);
  // The index gives only the order. The distance is computed for each row, so the statement uses it once.
  const rows = await session.query<{ readonly memory_id: string; readonly distance: number }>(
    planned(
      `select e.memory_id, ${distance} as distance ${from} and ${searchingAmong(depth)} order by distance limit ${depth}`,
      selection,
    ),
    parameters.values,
  );
  return rows.map((row) => ({ memoryId: row.memory_id, similarity: 1 - row.distance }));
}

/** Sets the parameters of the index scan for this statement, before the scan starts. A condition that is always true. */
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
