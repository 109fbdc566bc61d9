-- What the orchestrator keeps of users and agents beside their memories.

create table user_profiles (
  user_id text primary key,
  profile_data jsonb not null default '{}',
  profile_data_escaped boolean not null default false,
  preferences jsonb not null default '{}',
  preferences_escaped boolean not null default false,
  version integer not null default 1,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  -- A row that is not active no longer holds any data of its user.
  is_active boolean not null default true
);
create index user_profiles_deleted on user_profiles (updated_at) where not is_active;

create table agent_states (
  state_id bigint generated always as identity primary key,
  agent_id text not null,
  -- Null: the agent's state outside any session. The design says "on delete set null", but that would turn the state of a deleted session
  -- into this one.
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
