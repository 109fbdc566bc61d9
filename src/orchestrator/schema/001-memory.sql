-- What the orchestrator remembers: sessions, their memories, and the fence of every lane.

create table sessions (
  session_id text primary key,
  -- Null when the first memory made the session and nobody has said yet whose it is.
  user_id text,
  session_type text not null default 'conversation',
  metadata jsonb not null default '{}',
  escaped boolean not null default false,
  summary text,
  is_archived boolean not null default false,
  -- Counts the lives of a session: creating an ended one again starts the next.
  generation integer not null default 1,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  ended_at timestamptz
);
create index sessions_of_user on sessions (user_id, session_id);

create table memory_entries (
  memory_id text primary key,
  session_id text not null references sessions on delete cascade,
  memory_type text not null,
  content jsonb not null,
  -- The content holds the reversible escape of what PostgreSQL cannot store.
  escaped boolean not null default false,
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
  -- A tsvector holds at most 1 MiB; 100,000 characters stay below it in any script.
  search tsvector generated always as (to_tsvector('simple', left(coalesce(content ->> 'text', ''), 100000))) stored
) /*hash memory_id*/;
create index memory_entries_in_order on memory_entries (session_id, position, memory_id);
create index memory_entries_by_time on memory_entries (session_id, created_at);
create index memory_entries_search on memory_entries using gin (search);
create index memory_entries_expiring on memory_entries (expires_at) where expires_at is not null;
create index memory_entries_deleted on memory_entries (deleted_at) where not is_active;

-- The fence: the last generation and sequence that took effect, by lane. Rewritten by every delivery, hence the free space in its pages.
create table memory_lanes (
  key text primary key,
  generation bigint not null,
  sequence bigint not null
) with (fillfactor = 50);
