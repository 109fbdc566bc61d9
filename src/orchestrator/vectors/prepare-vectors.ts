import { createHash } from 'node:crypto';
import type { Database, Session } from '../../storage/database.ts';
import { quoted } from './space-condition.ts';
import type { Space } from './vector-store.ts';

/** pgvector can index this many dimensions with four bytes each, and twice as many with two. Above that every search is exact. */
const VECTOR_INDEX_DIMENSIONS = 2_000;
const HALF_INDEX_DIMENSIONS = 4_000;

/** The type for an index with this many dimensions; undefined if it cannot be indexed. */
export function indexedType(dimension: number): 'vector' | 'halfvec' | undefined {
  if (dimension <= VECTOR_INDEX_DIMENSIONS) return 'vector';
  return dimension <= HALF_INDEX_DIMENSIONS ? 'halfvec' : undefined;
}

/**
 * Prepares the table for vectors, in addition to the schema steps: the column in pgvector's type, and an index for the configured space,
 * created while the space is empty. Safe to repeat; needs the right to alter the table. Does nothing without pgvector.
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
