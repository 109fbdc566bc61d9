-- The delivery to legacy of writes whose primary is the orchestrator.

-- When a reverse write of a service was last read back on legacy, by what kind of writer.
create table reverse_proofs (
  service text not null,
  by text not null check (by in ('agent', 'canary')),
  proven_at timestamptz not null default now(),
  primary key (service, by)
);

-- When a replica last began to prove the way back of a service with writes of its own.
create table canary_runs (
  service text primary key,
  begun_at timestamptz not null default now()
);

-- Each send of a write to legacy. Legacy cannot recognise a repetition, so the start is stored before the send.
create table reverse_sends (
  lane_id bigint not null,
  sequence bigint not null,
  operation_id uuid not null,
  action text not null,
  -- The replica that makes the attempt, and the lane's epoch for it.
  replica uuid not null,
  epoch bigint not null,
  attempts integer not null default 1,
  -- Legacy's end of the lane before the attempt: digests, sealed if a key is configured. Null: unknown, or no longer needed.
  tail text,
  started_at timestamptz not null default now(),
  -- Since when it waits for a person, and why. Both stay after the decision.
  halted_at timestamptz,
  halted_because text,
  decision text check (decision in ('retry', 'skip', 'assume_applied')),
  decided_at timestamptz,
  decided_by text,
  decided_reason text,
  ended_at timestamptz,
  ending text check (ending in ('applied', 'forgotten', 'skipped', 'assumed_applied')),
  primary key (lane_id, sequence)
);
-- At most one per lane.
create unique index reverse_sends_open on reverse_sends (lane_id) where ended_at is null;
create index reverse_sends_halted on reverse_sends (operation_id) where halted_at is not null;

-- Lanes that cannot return to legacy, because more writes waited for legacy than the limit allows.
create table lost_ways_back (
  lane_id bigint primary key,
  lost_at timestamptz not null default now()
);
