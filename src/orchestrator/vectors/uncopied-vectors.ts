import type { Database } from '../../storage/database.ts';
import type { Space } from './vector-store.ts';
import type { Datapoint, VertexClient } from './vertex-client.ts';

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
export interface UncopiedVectors {
  /** Marks all vectors as uncopied if the index has changed. */
  begin(): Promise<void>;
  /** Copies some vectors; false if there are none. */
  copySome(): Promise<boolean>;
  /** The ids that have no vector in the table. */
  strangersIn(memoryIds: readonly string[]): Promise<string[]>;
}

export function createUncopiedVectors(
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
