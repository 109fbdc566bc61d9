-- Which backend is primary for the writes of a lane: which lanes may move, which have moved, and what keeps them from moving.

-- An intent commit that obeys the lane's primary sets this column to the sequence that it gives. An older binary does not know it, so the
-- check makes its commit fail in a lane whose primary is the orchestrator.
alter table lanes add column obeyed_sequence bigint not null default 0;
alter table lanes add constraint lanes_primary_is_obeyed
  check (primary_backend = 'legacy' or obeyed_sequence = sequence);
create index if not exists lanes_flipped on lanes (service) where primary_backend = 'orchestrator';

-- What each replica last reported: the number of the share that it acts on, and the version with which it answers writes, by service.
alter table replicas add column shares jsonb not null default '{}';
alter table replicas add column versions jsonb not null default '{}';

-- The lanes whose writes may move to the orchestrator. A share is active when every registered replica has reported its number.
create table flip_shares (
  service text primary key,
  number bigint not null,
  -- Whole percent: the lanes whose bucket is not above it.
  percentage integer not null check (percentage between 0 and 100),
  -- The protocol and the definition with which writes of flipped lanes are answered. A replica with another version answers none.
  version text not null,
  at timestamptz not null default now()
);

-- Every change of a lane's primary, written by the statement that makes it.
create table flips (
  lane_id bigint not null,
  epoch bigint not null,
  primary_backend text not null,
  -- The lane's place in the order of its service, 1 to 100.
  bucket integer not null,
  at timestamptz not null default now(),
  replica uuid not null,
  -- What it was decided by.
  facts jsonb not null default '{}',
  -- The comparison after the flip, and what it found.
  compared_at timestamptz,
  comparison text,
  primary key (lane_id, epoch)
);
create index flips_not_compared on flips (lane_id) where compared_at is null;

-- Flips that failed: how often since the lane last moved, why, and when the next attempt is due.
create table flip_attempts (
  lane_id bigint primary key,
  attempts integer not null,
  reason text not null,
  first_at timestamptz not null default now(),
  last_at timestamptz not null default now(),
  next_at timestamptz not null
);

-- A person has stopped further flips of a service.
create table flip_holds (
  id bigint generated always as identity primary key,
  service text not null,
  person text not null,
  reason text not null,
  at timestamptz not null default now(),
  lifted_at timestamptz,
  lifted_by text,
  lift_reason text
);
create unique index flip_holds_open on flip_holds (service) where lifted_at is null;

-- When both backends last held the same of a lane, and under which definition, rules and versions that was judged.
create table lane_verifications (
  lane_id bigint primary key,
  digest text not null,
  at timestamptz not null
);
