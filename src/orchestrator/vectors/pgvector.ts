import { createHash } from 'node:crypto';
import type { Database, Session } from '../../storage/database.ts';
import { conditionOf, Parameters, planned, type Selection, VISIBLE } from '../memories/filter.ts';
import type { Nearest, NearestQuery, Neighbour, Space, VectorStore } from './vector-store.ts';

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

/** pgvector can index this many dimensions with four bytes each, and twice as many with two. Above that every search is exact. */
const VECTOR_INDEX_DIMENSIONS = 2_000;
const HALF_INDEX_DIMENSIONS = 4_000;

/** The type for an index with this many dimensions; undefined if it cannot be indexed. */
function indexedType(dimension: number): 'vector' | 'halfvec' | undefined {
  if (dimension <= VECTOR_INDEX_DIMENSIONS) return 'vector';
  return dimension <= HALF_INDEX_DIMENSIONS ? 'halfvec' : undefined;
}

/**
 * Prepares the table for vectors, in addition to the schema steps. It gives the column pgvector's type. It creates an index for the
 * configured space, while the space is empty. Safe to repeat; needs the right to alter the table. Does nothing without pgvector.
 */
export async function prepareVectors(database: Database, target: Space | undefined): Promise<void> {
  await database.transaction(async (session) => {
    const [extension] = await session.query(`select 1 from pg_extension where extname = 'vector'`);
    if (extension === undefined) return;
    if (database.kind === 'postgres') await session.script('set local statement_timeout = 0');
    await adoptVectorType(session);
    await dropUnused(session, target);
    if (target !== undefined) await addIndex(session, target);
  });
}

async function adoptVectorType(session: Session): Promise<void> {
  const [column] = await session.query<{ type: string }>(
    `select format_type(atttypid, atttypmod) as type from pg_attribute
     where attrelid = 'vector_embeddings'::regclass and attname = 'embedding'`,
  );
  if (column?.type === 'real[]')
    await session.script(
      'alter table vector_embeddings alter column embedding type vector using embedding::vector',
    );
}

function indexName({ model, dimension }: Space): string {
  const digest = createHash('sha256').update(`${model} ${dimension}`).digest('hex').slice(0, 16);
  return `vector_embeddings_of_${digest}`;
}

async function addIndex(session: Session, space: Space): Promise<void> {
  const type = indexedType(space.dimension);
  if (type === undefined) return;
  await session.script(
    `create index if not exists ${indexName(space)} on vector_embeddings
       using hnsw ((embedding::${type}(${space.dimension})) ${type}_cosine_ops)
       where embedding_model = ${quoted(space.model)} and dimension = ${space.dimension} and embedding is not null`,
  );
}

async function dropUnused(session: Session, target: Space | undefined): Promise<void> {
  const known = await session.query<Space>(
    `select model, dimension from embedding_models where state <> 'retired'`,
  );
  const kept = [...known, ...(target === undefined ? [] : [target])].map(indexName);
  const unused = await session.query<{ name: string }>(
    `select indexrelid::regclass::text as name from pg_index join pg_class on pg_class.oid = indexrelid
     where indrelid = 'vector_embeddings'::regclass and relname like 'vector\\_embeddings\\_of\\_%' and not (relname = any($1::text[]))`,
    [kept],
  );
  for (const { name } of unused) await session.script(`drop index ${name}`);
}

/** `from … where …`: the vectors of a space whose memories are selected and visible. */
export function fromSelected(space: Space, selection: Selection, parameters: Parameters): string {
  const filtered = conditionOf(selection, parameters);
  const conditions = [spaceCondition(space), filtered, VISIBLE].filter((part) => part !== '');
  return `from vector_embeddings e join memory_entries m on m.memory_id = e.memory_id where ${conditions.join(' and ')}`;
}

/** A text as an SQL literal. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

/** The condition for vectors `e` of one space. It uses literals, because the planner cannot use the index of the space with parameters. */
function spaceCondition({ model, dimension }: Space): string {
  return `e.embedding_model = ${quoted(model)} and e.dimension = ${Math.trunc(dimension)} and e.embedding is not null`;
}
