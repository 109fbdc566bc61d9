-- Sessions, their memories, and what makes a late, repeated or concurrent write harmless.

create table sessions (
  session_id text primary key,
  -- Null if the first memory made the session and no caller has named its user yet.
  user_id text,
  session_type text not null default 'conversation',
  metadata jsonb not null default '{}',
  -- The metadata holds the reversible escape of what PostgreSQL cannot store.
  escaped boolean not null default false,
  summary text,
  -- What a generated summary was made of: method, count, range. Null if the caller wrote the summary.
  summarized jsonb,
  -- The key that the summary is sealed with, because a summary is made of contents. Null: it is not sealed.
  summary_key text,
  is_archived boolean not null default false,
  -- Counts the lives of a session: creating an ended session again starts the next one.
  generation integer not null default 1,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  ended_at timestamptz
);
create index sessions_of_user on sessions (user_id, session_id);

-- PostgreSQL calls convert_to stable because encodings could change, but the encoding of one database cannot.
create function memory_content_hash(content jsonb) returns bytea
  language sql immutable strict parallel safe return sha256(convert_to(content::text, 'UTF8'));

-- Tags are an array, without a table of their own: they are always written and read with their memory and keep their order. The array
-- saves a row per tag and answers "has all of these" by itself.
create table memory_entries (
  memory_id text primary key,
  session_id text not null references sessions on delete cascade,
  memory_type text not null,
  content jsonb not null,
  -- The content holds the reversible escape of what PostgreSQL cannot store.
  escaped boolean not null default false,
  -- The content as it was sent, if jsonb spells it differently. That is so for numbers with an exponent, negative zero, and the order
  -- and the repetition of keys below the top. Null for all other contents, and for sealed ones, which hold their text anyway. Readers
  -- return it as long as it means the same as `content`, which searches, filters and the generated columns use.
  content_text text,
  -- The key that the content is sealed with. Null: it is not sealed. A sealed content is {"$sealed": the ciphertext,
  -- "$hash", "$metadata": blind index, "text": blind words, "source_agent": unencrypted}, so that the generated columns
  -- work for both.
  content_key text,
  tags text[] not null default '{}',
  priority integer not null default 5 check (priority between 1 and 10),
  -- Order within a lane. 2^53 stands for "in no lane's order": it sorts last and is above every position_below.
  position bigint not null default 9007199254740992,
  lane_key text,
  version integer not null default 1,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  expires_at timestamptz,
  -- A row that is not active is the tombstone of its memory.
  is_active boolean not null default true,
  deleted_at timestamptz,
  deleted_generation bigint,
  deleted_sequence bigint,
  text_content text generated always as (content ->> 'text') stored,
  source_agent text generated always as (left(content ->> 'source_agent', 64)) stored,
  -- A tsvector holds at most 1 MiB; 100,000 characters stay below that in any script.
  search tsvector generated always as (to_tsvector('simple', left(coalesce(content ->> 'text', ''), 100000))) stored,
  -- SHA-256 of the content as the database spells it. It serves to find equal contents; a digest of a lane never relies on it.
  content_hash bytea generated always as (memory_content_hash(content)) stored
) /*hash memory_id*/;
create index memory_entries_in_order on memory_entries (session_id, position, memory_id);
create index memory_entries_by_time on memory_entries (session_id, created_at);
create index memory_entries_search on memory_entries using gin (search);
create index memory_entries_expiring on memory_entries (expires_at) where expires_at is not null;
-- Says until when a cached answer about a session holds if no write changes it.
create index memory_entries_expiring_in_session on memory_entries (session_id, expires_at) where expires_at is not null;
create index memory_entries_deleted on memory_entries (deleted_at) where not is_active;
create index memory_entries_sealed on memory_entries (content_key) where content_key is not null;

create table memory_relationships (
  relationship_id bigint generated always as identity primary key,
  source_memory_id text not null references memory_entries on delete cascade,
  target_memory_id text not null references memory_entries on delete cascade,
  relationship_type text not null,
  metadata jsonb not null default '{}',
  escaped boolean not null default false,
  created_at timestamptz not null default now(),
  unique (source_memory_id, target_memory_id, relationship_type)
);
create index memory_relationships_of_target on memory_relationships (target_memory_id);

-- The fence: the last epoch, generation and sequence that took effect, by lane. Every delivery rewrites a row, so the pages keep free space.
create table memory_lanes (
  key text primary key,
  epoch bigint not null default 0,
  generation bigint not null,
  -- -1 while a copy has raised the generation but not yet set its sequence.
  sequence bigint not null,
  set_by text not null default 'write' check (set_by in ('write', 'close', 'copy')),
  -- The write that set the sequence, and its answer as JSON, where the sender named it. The answer is sealed if contents are, because it
  -- repeats the filters of deletes. Both end with the sequence, so a lane keeps one answer at most.
  operation_id text,
  answer text
) with (fillfactor = 50);

-- Creating memories that conflict with nothing is one statement, the check of the fence included. If anything conflicts, this function
-- makes that statement fail as a whole, and slower statements find out what it was.
create function all_created(created bigint, wanted bigint) returns boolean language plpgsql as $$
begin
  if created <> wanted then
    raise exception 'not every memory is plainly new' using errcode = 'CFNEW';
  end if;
  return true;
end $$;

-- Answers to writes that carry a request_id. The key is the SHA-256 of caller, session, action, request_id and payload. It lives for
-- 24 hours, and then until the next purge.
create table idempotency_keys (
  key bytea primary key,
  -- Sealed if contents are, unless the statement that creates a memory has made it: then it holds an id and a time.
  answer text not null,
  created_at timestamptz not null default now()
);
-- Rows come in the order of their times, so this index costs next to nothing, and the purge needs no other.
create index idempotency_keys_by_time on idempotency_keys using brin (created_at);
