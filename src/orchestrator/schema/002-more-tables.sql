-- What the other actions of the contract keep, and what makes a repeated write harmless.

-- Tags stay the array of 001 instead of a table memory_tags: they are always written and read with their memory, keep their order,
-- and cost one row less each; an array answers "has all of these" by itself.

-- PostgreSQL calls convert_to stable because encodings could change; that of one database cannot.
create function memory_content_hash(content jsonb) returns bytea
  language sql immutable strict parallel safe return sha256(convert_to(content::text, 'UTF8'));
-- SHA-256 of the content as the database spells it. For finding equal contents; a digest never trusts it.
alter table memory_entries
  add column content_hash bytea generated always as (memory_content_hash(content)) stored;

-- What a generated summary was made of: method, count, range. Null when the caller wrote the summary.
alter table sessions add column summarized jsonb;

-- Answers to writes that name themselves: SHA-256 over caller, session, action, request_id and payload. A key lives 24 hours and until the next purge.
create table idempotency_keys (
  key bytea primary key,
  -- Ids, times and counts; no content.
  answer text not null,
  created_at timestamptz not null default now()
);
-- Rows come in the order of their times: for the purge this costs next to nothing.
create index idempotency_keys_by_time on idempotency_keys using brin (created_at);

create table user_profiles (
  user_id text primary key,
  profile_data jsonb not null default '{}',
  profile_data_escaped boolean not null default false,
  preferences jsonb not null default '{}',
  preferences_escaped boolean not null default false,
  version integer not null default 1,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  -- A row that is not active holds nothing of its user any more.
  is_active boolean not null default true
);
create index user_profiles_deleted on user_profiles (updated_at) where not is_active;

create table agent_states (
  state_id bigint generated always as identity primary key,
  agent_id text not null,
  -- Null: the agent's state outside any session. Cascade, where the document says set null: that would make it this state.
  session_id text references sessions on delete cascade,
  state_data jsonb not null,
  escaped boolean not null default false,
  version integer not null default 1,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  expires_at timestamptz,
  unique nulls not distinct (agent_id, session_id)
);
create index agent_states_expiring on agent_states (expires_at) where expires_at is not null;

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
