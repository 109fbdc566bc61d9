-- Who may speak to the orchestrator, what was done, and which contents are sealed.

create table access_keys (
  -- The public part of the key.
  key_id text primary key,
  -- SHA-256 of the whole key, which is nowhere else.
  digest bytea not null,
  agent text not null,
  role text not null check (role in ('agent', 'migration', 'admin')),
  -- Whose sessions an agent sees beside its own; '*' stands for everybody's.
  users text[] not null default '{}',
  -- Null: the rate of the installation.
  requests_per_second integer check (requests_per_second > 0),
  created_at timestamptz not null default now(),
  expires_at timestamptz,
  revoked_at timestamptz,
  last_used_at timestamptz
);

-- Who opened a session. What an agent wrote into one, or whose it is, shows on the session itself.
create table session_agents (
  session_id text not null references sessions on delete cascade,
  agent text not null,
  primary key (session_id, agent)
);

-- One row per operation, without content. No foreign keys: an entry outlives what it tells of, and a batch of entries must not
-- fail because a session is gone.
create table memory_access_logs (
  log_id bigint generated always as identity,
  memory_id text,
  session_id text,
  agent_id text,
  key_id text,
  operation text not null,
  timestamp timestamptz not null,
  request_data jsonb,
  success boolean not null,
  -- 'success', or the code of the error; error_message holds the closed word that refines it.
  outcome text not null,
  error_message text,
  latency_ms real not null,
  transport text not null,
  ip_address text,
  primary key (log_id, timestamp)
) /*month timestamp*/;
-- Entries come in the order of their times: for retention and for reading a span this costs next to nothing.
create index memory_access_logs_by_time on memory_access_logs using brin (timestamp);

-- The key that a content is sealed with; null: it is in clear. The column content then holds {"$sealed": the ciphertext, "$hash",
-- "$metadata": blind index, "text": blind words, "source_agent": in clear}, so that everything generated from it works on both.
alter table memory_entries add column content_key text;
create index memory_entries_sealed on memory_entries (content_key) where content_key is not null;

-- The same for a summary, which is made of contents.
alter table sessions add column summary_key text;
