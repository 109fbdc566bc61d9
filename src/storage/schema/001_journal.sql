-- Coverage: dual writes of a service take effect through a numbered row.
create table coverage (
  number bigint generated always as identity primary key,
  service text not null,
  began_at timestamptz not null default now(),
  ended_at timestamptz
);
create unique index coverage_open on coverage (service) where ended_at is null;

-- One row a lane. Claims (to deliver, copy, compare, flip) are columns; no lock outlives a statement.
create table lanes (
  id bigint generated always as identity primary key,
  key text not null unique,
  service text not null,
  owner text not null,
  sequence bigint not null default 0,
  generation bigint not null default 0,
  epoch bigint not null default 0,
  primary_backend text not null default 'legacy' check (primary_backend in ('legacy', 'orchestrator')),
  condition text not null default 'clean' check (condition in ('clean', 'dirty', 'copying', 'stopped')),
  reason text not null default '',
  seeded_coverage bigint not null default 0,
  delivered_sequence bigint not null default 0,
  -- Outcomes up to here are certain, whatever the rows below say: a copy has looked.
  settled_sequence bigint not null default 0,
  open_replica uuid,
  open_until timestamptz,
  claim_replica uuid,
  claim_fence bigint not null default 0,
  claim_until timestamptz
) with (fillfactor = 70);
create index lanes_unwell on lanes (service, condition) where condition <> 'clean';

-- Intents, written before the primary is asked. The request is text as sent, or sealed where a key is configured.
create table writes (
  lane_id bigint not null,
  sequence bigint not null,
  operation_id uuid not null,
  action text not null,
  request text not null,
  accepted_at timestamptz not null,
  replica uuid not null,
  primary key (lane_id, sequence)
);
create index writes_accepted on writes (accepted_at);

-- Append-only: updating the intent's row would cost its lane's group commit dearly.
create table outcomes (
  lane_id bigint not null,
  sequence bigint not null,
  outcome text not null check (outcome in ('applied', 'refused', 'unknown', 'not_applied')),
  at timestamptz not null default now(),
  primary key (lane_id, sequence)
);

create table dead_letters (
  lane_id bigint not null,
  sequence bigint not null,
  code text not null,
  reason text not null,
  at timestamptz not null default now(),
  resolved_at timestamptz,
  resolution text,
  primary key (lane_id, sequence)
);

create table replicas (
  id uuid primary key,
  started_at timestamptz not null default now(),
  heartbeat_at timestamptz not null default now(),
  coverage jsonb not null default '{}'
);

-- Redacted: shapes and digests, never content.
create table differences (
  id bigint generated always as identity primary key,
  at timestamptz not null,
  service text not null,
  action text not null,
  lane text not null,
  operation_id uuid not null,
  primary_backend text not null,
  comparison jsonb not null
);
create index differences_recent on differences (service, id desc);
