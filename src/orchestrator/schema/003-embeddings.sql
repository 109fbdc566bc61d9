-- What memories mean, as vectors: the models whose vectors are kept, and one vector a memory and model.

create table embedding_models (
  model text not null,
  dimension integer not null check (dimension > 0),
  -- What made its vectors; after a change of the settings its queries are still embedded by the same.
  provider text not null,
  -- Searches use the one that serves. Its successor fills meanwhile; then they change places and the retired one's vectors go.
  state text not null check (state in ('filling', 'serving', 'retired')),
  -- Filling goes through the memories in the order of their ids and has come so far.
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

create table vector_embeddings (
  embedding_id bigint generated always as identity,
  memory_id text not null references memory_entries on delete cascade,
  embedding_model text not null,
  dimension integer not null,
  -- Becomes the type vector at the first start with pgvector. Null: the model refuses this text, and is not asked again.
  embedding real[],
  -- Of which version of the memory, and of which text: a new version with the same text needs no new vector.
  memory_version integer not null,
  text_hash bytea not null,
  -- An index outside the database, where there is one, holds it too.
  is_copied boolean not null default true,
  created_at timestamptz not null default now(),
  primary key (memory_id, embedding_model, dimension)
) /*hash memory_id*/;
create index vector_embeddings_uncopied on vector_embeddings (embedding_model, dimension) where not is_copied;
-- A vector is not compressible, and the attempt costs more than the write.
alter table vector_embeddings alter column embedding set storage external;
