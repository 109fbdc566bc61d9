import { encodeJson } from '../../domain/json.ts';
import type { Session } from '../../storage/database.ts';
import { prepared } from '../../storage/sessions/session.ts';
import type { Space, Vector } from '../vectors/vector-store.ts';
import type { StaleMemory } from './stale-memories.ts';

/** A vector to store; absent if the model refused the text. */
export interface NewVector extends Pick<StaleMemory, 'memoryId' | 'version' | 'textHash'> {
  readonly vector: Vector | undefined;
}

/** The checked state of a memory. */
type SeenMemory = Pick<StaleMemory, 'memoryId' | 'version' | 'isWanted'>;

/** The table vector_embeddings. */
export interface StoredVectors {
  keep(space: Space, vectors: readonly NewVector[]): Promise<void>;
  /** Assigns the vectors of unchanged texts to the current version. */
  confirm(space: Space, memories: readonly StaleMemory[]): Promise<void>;
  /** Removes vectors of the checked versions. A vector of a later write, or of this version's write, stays. @returns the removed ids */
  remove(space: Space, memories: readonly SeenMemory[]): Promise<string[]>;
  /** Removes some vectors of a space; false if none is left. */
  removeSome(space: Space, limit: number): Promise<boolean>;
}

const KEEP = prepared(`
insert into vector_embeddings as e (memory_id, embedding_model, dimension, embedding, memory_version, text_hash, is_copied)
select m.memory_id, $2, $3, v.vector::real[], v.version, decode(v."textHash", 'hex'), $4
from json_to_recordset($1::json) as v ("memoryId" text, version int, "textHash" text, vector text)
  join memory_entries m on m.memory_id = v."memoryId"
order by m.memory_id
on conflict (memory_id, embedding_model, dimension) do update set
  embedding = excluded.embedding, memory_version = excluded.memory_version, text_hash = excluded.text_hash,
  is_copied = excluded.is_copied, created_at = now()
  where excluded.memory_version >= e.memory_version`);

const REMOVE = prepared(`
delete from vector_embeddings e
using json_to_recordset($1::json) as v ("memoryId" text, version int, "isWanted" boolean)
where e.memory_id = v."memoryId" and e.embedding_model = $2 and e.dimension = $3
  and (e.memory_version < v.version or e.memory_version = v.version and not v."isWanted")
returning e.memory_id`);

/** @param isCopiedLater whether an index outside the database gets copies */
export function createStoredVectors(database: Session, isCopiedLater: boolean): StoredVectors {
  return {
    async keep({ model, dimension }, vectors) {
      const rows = vectors.map(({ vector, ...rest }) => ({
        ...rest,
        vector: vector === undefined ? null : `{${vector.join(',')}}`,
      }));
      await database.query(KEEP, [encodeJson(rows), model, dimension, !isCopiedLater]);
    },
    async confirm({ model, dimension }, memories) {
      await database.query(
        `update vector_embeddings e set memory_version = v.version
         from json_to_recordset($1::json) as v ("memoryId" text, version int)
         where e.memory_id = v."memoryId" and e.embedding_model = $2 and e.dimension = $3 and e.memory_version < v.version`,
        [encodeJson(memories.map(({ memoryId, version }) => ({ memoryId, version }))), model, dimension],
      );
    },
    async remove({ model, dimension }, memories) {
      const seen = memories.map(({ memoryId, version, isWanted }) => ({ memoryId, version, isWanted }));
      const rows = await database.query<{ memory_id: string }>(REMOVE, [encodeJson(seen), model, dimension]);
      return rows.map(({ memory_id: id }) => id);
    },
    async removeSome({ model, dimension }, limit) {
      const rows = await database.query(
        `delete from vector_embeddings where embedding_model = $1 and dimension = $2 and memory_id in (
           select memory_id from vector_embeddings where embedding_model = $1 and dimension = $2 limit $3) returning 1`,
        [model, dimension, limit],
      );
      return rows.length > 0;
    },
  };
}
