-- Who may call the orchestrator, and what was done.

create table access_keys (
  -- The public part of the key.
  key_id text primary key,
  -- SHA-256 of the whole key, which is stored nowhere else.
  digest bytea not null,
  agent text not null,
  role text not null check (role in ('agent', 'migration', 'admin')),
  -- The users whose sessions an agent sees beside its own; '*' stands for all users.
  users text[] not null default '{}',
  -- Null: the rate of the installation.
  requests_per_second integer check (requests_per_second > 0),
  created_at timestamptz not null default now(),
  expires_at timestamptz,
  revoked_at timestamptz,
  last_used_at timestamptz
);

-- The agents that opened a session. What an agent wrote into a session, and whose session it is, is stored with the session itself.
create table session_agents (
  session_id text not null references sessions on delete cascade,
  agent text not null,
  primary key (session_id, agent)
);

-- One row per operation, without content. It has no foreign keys. An entry outlives what it is about, and a batch of entries must
-- not fail when a session is gone.
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
-- Entries come in the order of their times, so this index costs next to nothing. Retention and reading a span need no other.
create index memory_access_logs_by_time on memory_access_logs using brin (timestamp);
