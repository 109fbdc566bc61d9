-- What shows that the journal or the orchestrator was restored from a backup, and what a person decided about each lane.

-- The lanes whose primary is the orchestrator are compared with it every minute, in the order of their keys.
create index lanes_moved on lanes (key) where primary_backend = 'orchestrator';

-- What the orchestrator held of a lane when it was first looked at under the lane's epoch, or later. A position below shows that the
-- orchestrator was restored from a backup, also where the journal has no later write of the lane.
create table orchestrator_marks (
  lane_id bigint primary key,
  -- The epoch and the sequence that the journal had given the lane then.
  under_epoch bigint not null,
  journal_sequence bigint not null,
  epoch bigint not null,
  generation bigint not null,
  sequence bigint not null,
  at timestamptz not null default now()
);

-- Lanes that one database has only in part. No replica answers for such a lane until a person has decided. No content.
create table restored_lanes (
  id bigint generated always as identity primary key,
  key text not null,
  service text not null,
  older text not null check (older in ('journal', 'orchestrator')),
  -- Both positions when it was found: {epoch, generation, sequence}.
  journal jsonb not null,
  orchestrator jsonb not null,
  found_at timestamptz not null default now(),
  -- How many writes the orchestrator was given again from the journal. Null: not yet.
  redelivered integer,
  -- The journal no longer holds all that the orchestrator lacked.
  incomplete boolean not null default false,
  decided_at timestamptz,
  decided_by text,
  decided_reason text
);
create unique index restored_lanes_open on restored_lanes (key) where decided_at is null;

-- Backups of the orchestrator's database that a person has verified. Writes of flipped lanes from before may leave the journal.
create table orchestrator_backups (
  id bigint generated always as identity primary key,
  until timestamptz not null,
  person text not null,
  reason text not null,
  at timestamptz not null default now()
);
