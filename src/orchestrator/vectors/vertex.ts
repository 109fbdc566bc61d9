import { circuitBreaker, ConsecutiveBreaker, handleAll } from 'cockatiel';
import { messageOf } from '../../domain/errors.ts';
import type { Selection } from '../memories/filter.ts';
import { keepOn, rest } from '../embeddings/keep-on.ts';
import type { Database } from '../../storage/database.ts';
import type { Part } from '../part.ts';
import { compareAll, createPgvectorStore } from './pgvector.ts';
import {
  isSameSpace,
  type Nearest,
  type NearestQuery,
  type Space,
  type VectorStore,
} from './vector-store.ts';
import type { Datapoint, Restrictions, VertexClient } from './vertex-client.ts';

// Filters that the index does not support are applied to its results, so more results are requested.
const SURPLUS = 3;
const MOST_NEIGHBOURS = 1_000;
const FAILURES = 3;
const REST_MS = 10_000;

/**
 * Vertex AI Vector Search finds candidates; PostgreSQL checks visibility and filters, and computes the similarity. All vectors stay in
 * pgvector, which answers if the index fails, is incomplete, or finds too few.
 */
export function createVertexStore(parts: VertexParts): VectorStore {
  const { database, space, client, onFailure } = parts;
  const pgvector = createPgvectorStore(database);
  const copies = createVertexCopies(parts);
  const breaker = circuitBreaker(handleAll, {
    halfOpenAfter: REST_MS,
    breaker: new ConsecutiveBreaker(FAILURES),
  });
  const failed = (error: unknown): void => onFailure(messageOf(error));

  async function askIndex(query: NearestQuery): Promise<Nearest | undefined> {
    const { selection, depth, vector } = query;
    const count = Math.min(MOST_NEIGHBOURS, depth * SURPLUS);
    const ids = await client.neighbours({ vector, count, restrictions: restrictionsOf(selection) });
    const filter = { ...selection.filter, memory_ids: ids };
    const found = await compareAll(database, { ...query, selection: { ...selection, filter } });
    // Ids that are no longer in the table would always take the places of others.
    copies.forgetStrangers(ids).catch(failed);
    // Further candidates may pass the filters.
    if (found.neighbours.length < depth && ids.length >= count) return undefined;
    return { ...found, store: 'vertex', exact: false, total: undefined };
  }

  return {
    name: 'vertex',
    async nearest(query) {
      if (!copies.isComplete() || !isForIndex(query, space)) return pgvector.nearest(query);
      try {
        return (await breaker.execute(() => askIndex(query))) ?? (await pgvector.nearest(query));
      } catch (error) {
        failed(error);
        return pgvector.nearest(query);
      }
    },
    stored: () => copies.wake(),
    removed(ofSpace, memoryIds) {
      // A vector that could not be removed is recognised when it is found.
      if (isSameSpace(ofSpace, space)) client.remove(memoryIds).catch(failed);
    },
    start: () => copies.start(),
    async stop() {
      await copies.stop();
      await client.close();
    },
  };
}

// Exact searches, and searches among given memories, need all vectors, so PostgreSQL answers them.
function isForIndex(query: NearestQuery, space: Space): boolean {
  const isNamed = query.selection.filter.memory_ids !== undefined;
  return isSameSpace(query.space, space) && !isNamed && !query.exact && query.depth <= MOST_NEIGHBOURS;
}

function restrictionsOf({ sessionId, filter }: Selection): Partial<Restrictions> {
  const types = filter.memory_type === undefined ? filter.memory_types : [filter.memory_type];
  return {
    ...(sessionId === '' ? {} : { session_id: [sessionId] }),
    ...(types === undefined ? {} : { memory_type: types }),
  };
}

interface VertexParts {
  readonly database: Database;
  /** The space of the index. */
  readonly space: Space;
  readonly client: VertexClient;
  /** The message never contains content. */
  readonly onFailure: (message: string) => void;
}

/** Copies the vectors of the table to the index in the background, and continues after a crash or an outage. */
interface VertexCopies extends Part {
  wake(): void;
  /** True if the index has all vectors of the start. New vectors follow within moments. */
  isComplete(): boolean;
  /** Removes ids from the index that the table no longer has. */
  forgetStrangers(memoryIds: readonly string[]): Promise<void>;
}

const LOOK_EVERY_MS = 5_000;

function createVertexCopies({ database, space, client, onFailure }: VertexParts): VertexCopies {
  const uncopied = createUncopiedVectors(database, space, client);
  const ending = new AbortController();
  let isBegun = false;
  let isComplete = false;
  let wake = (): void => {};
  let running: Promise<void> = Promise.resolve();

  async function copy(): Promise<void> {
    if (!isBegun) await uncopied.begin();
    isBegun = true;
    if (await uncopied.copySome()) return;
    isComplete = true;
    const woken = new Promise<void>((resolve) => (wake = resolve));
    await Promise.race([woken, rest(LOOK_EVERY_MS, ending.signal)]);
  }

  function failed(message: string): void {
    isComplete = false;
    onFailure(message);
  }

  return {
    wake: () => wake(),
    isComplete: () => isComplete,
    async forgetStrangers(memoryIds) {
      const strangers = await uncopied.strangersIn(memoryIds);
      if (strangers.length > 0) await client.remove(strangers);
    },
    async start() {
      running = keepOn(copy, ending.signal, failed);
    },
    async stop() {
      ending.abort();
      wake();
      await running;
    },
  };
}

// An upsert takes at most 1,000 datapoints; 100 datapoints of 1,536 numbers are 600 kB.
const BATCH = 100;

interface UncopiedRow {
  readonly memory_id: string;
  readonly session_id: string;
  readonly memory_type: string;
  readonly made: string;
  readonly numbers: string;
}

const UNCOPIED = `
select e.memory_id, m.session_id, m.memory_type, e.created_at::text as made, e.embedding::real[]::text as numbers
from vector_embeddings e join memory_entries m on m.memory_id = e.memory_id
where not e.is_copied and e.embedding_model = $1 and e.dimension = $2 and e.embedding is not null limit ${BATCH}`;

// A vector that was replaced in the meantime is copied again.
const MARK = `
update vector_embeddings e set is_copied = true from unnest($3::text[], $4::text[]) as copied (memory_id, made)
where e.memory_id = copied.memory_id and e.created_at::text = copied.made and e.embedding_model = $1 and e.dimension = $2`;

/** The vectors of one space that an index outside the database does not have yet. */
interface UncopiedVectors {
  /** Marks all vectors as uncopied if the index has changed. */
  begin(): Promise<void>;
  /** Copies some vectors; false if there are none. */
  copySome(): Promise<boolean>;
  /** The ids that have no vector in the table. */
  strangersIn(memoryIds: readonly string[]): Promise<string[]>;
}

function createUncopiedVectors(
  database: Database,
  { model, dimension }: Space,
  client: VertexClient,
): UncopiedVectors {
  return {
    async begin() {
      await database.transaction(async (session) => {
        const changed = await session.query(
          `update embedding_models set copied_to = $3
           where model = $1 and dimension = $2 and copied_to is distinct from $3 returning 1`,
          [model, dimension, client.index],
        );
        if (changed.length > 0)
          await session.query(
            'update vector_embeddings set is_copied = false where embedding_model = $1 and dimension = $2',
            [model, dimension],
          );
      });
    },
    async copySome() {
      const rows = await database.query<UncopiedRow>(UNCOPIED, [model, dimension]);
      if (rows.length === 0) return false;
      await client.upsert(rows.map(datapointOf));
      const ids = rows.map(({ memory_id }) => memory_id);
      await database.query(MARK, [model, dimension, ids, rows.map(({ made }) => made)]);
      return true;
    },
    async strangersIn(memoryIds) {
      const known = await database.query<{ memory_id: string }>(
        'select memory_id from vector_embeddings where memory_id = any($1::text[]) and embedding_model = $2 and dimension = $3',
        [memoryIds, model, dimension],
      );
      const found = new Set(known.map(({ memory_id }) => memory_id));
      return memoryIds.filter((id) => !found.has(id));
    },
  };
}

function datapointOf({ memory_id, session_id, memory_type, numbers }: UncopiedRow): Datapoint {
  const vector = Float32Array.from(numbers.slice(1, -1).split(','), Number);
  return {
    memoryId: memory_id,
    vector,
    restrictions: { session_id: [session_id], memory_type: [memory_type] },
  };
}
