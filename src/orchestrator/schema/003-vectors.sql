-- The meaning of memories: the models whose vectors are kept, and one vector per memory and model.

create table embedding_models (
  model text not null,
  dimension integer not null check (dimension > 0),
  -- What made its vectors. After a change of the settings, its queries are still embedded by the same provider.
  provider text not null,
  -- Searches use the model that serves, while its successor fills. Then the successor serves, and the vectors of the retired model are
  -- deleted.
  state text not null check (state in ('filling', 'serving', 'retired')),
  -- Filling goes through the memories in the order of their ids and has come this far.
  cursor text not null default '',
  looked_at bigint not null default 0,
  -- The index outside the database that holds copies of its vectors.
  copied_to text,
  changed_at timestamptz not null default now(),
  -- One process at a time goes through the memories.
  leased_by text,
  leased_until timestamptz not null default '-infinity',
  primary key (model, dimension)
);
create unique index embedding_models_serving on embedding_models (state) where state = 'serving';

-- A vector that fits a page stays in its row, because fetching it from beside the table took many times as long as comparing it.
create table vector_embeddings (
  embedding_id bigint generated always as identity,
  memory_id text not null references memory_entries on delete cascade,
  embedding_model text not null,
  dimension integer not null,
  -- Becomes the type vector at the first start with pgvector. Null: the model refuses this text, and is not asked again.
  embedding real[],
  -- The version of the memory that the vector was made of, and the hash of its text. A new version with the same text needs no new vector.
  memory_version integer not null,
  text_hash bytea not null,
  -- The index outside the database holds the vector too, if there is such an index.
  is_copied boolean not null default true,
  created_at timestamptz not null default now(),
  primary key (memory_id, embedding_model, dimension)
) with (toast_tuple_target = 8160) /*hash memory_id*/;
create index vector_embeddings_uncopied on vector_embeddings (embedding_model, dimension) where not is_copied;
-- A vector is not compressible, and the attempt costs more than the write. PostgreSQL before 16 cannot declare this with the column.
alter table vector_embeddings alter column embedding set storage external;
