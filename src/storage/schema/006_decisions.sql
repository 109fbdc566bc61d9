-- Dead letters: how often each was refused, and who dealt with it. The write's own row leaves a day after it is through.
alter table dead_letters
  add column operation_id uuid,
  add column action text,
  add column attempts integer not null default 1,
  add column resolved_by text,
  add column resolved_reason text,
  add check (resolution in ('redriven', 'skipped', 'copied'));
update dead_letters d set operation_id = w.operation_id, action = w.action
from writes w where w.lane_id = d.lane_id and w.sequence = d.sequence;
create index dead_letters_operation on dead_letters (operation_id);
create index dead_letters_open on dead_letters (lane_id, sequence) where resolved_at is null;

-- Every write whose outcome was not known, with what gave it its end. Written before the outcome itself: none is left out.
create table unknown_outcomes (
  lane_id bigint not null,
  sequence bigint not null,
  operation_id uuid not null,
  service text not null,
  lane text not null,
  action text not null,
  accepted_at timestamptz not null,
  found_at timestamptz not null default now(),
  -- What is held to be true since then.
  ended_at timestamptz,
  ending text check (ending in ('copied', 'late_reply', 'assumed_applied', 'assumed_lost')),
  -- Nothing can come any more: the late reply came, a person has decided, or the lane was compared once more after a minute.
  closed_at timestamptz,
  decided_by text,
  decided_reason text,
  primary key (lane_id, sequence)
);
create index unknown_outcomes_operation on unknown_outcomes (operation_id);
create index unknown_outcomes_recent on unknown_outcomes (found_at);
create index unknown_outcomes_open on unknown_outcomes (service) where closed_at is null;
