-- The return of lanes to legacy, as a person asked for it. At most one at a time for a service.
create table rollbacks (
  id bigint generated always as identity primary key,
  service text not null,
  -- Which lanes: {"owner": "s-1"}, {"beyondPercentage": 25}, or "all".
  choice jsonb not null,
  -- Whether the person accepts that legacy lacks what the printed list says.
  accepts_loss boolean not null,
  person text not null,
  reason text not null,
  began_at timestamptz not null default now(),
  ended_at timestamptz,
  stopped_by text,
  stop_reason text
);
create unique index rollbacks_open on rollbacks (service) where ended_at is null;

-- One row per lane, so that any replica continues after a crash. The flip itself is the lane's row.
create table rollback_lanes (
  rollback_id bigint not null references rollbacks (id) on delete cascade,
  lane_id bigint not null,
  attempts integer not null default 0,
  reason text not null default '',
  next_at timestamptz not null default now(),
  returned_at timestamptz,
  -- Acknowledged writes that legacy lacks since.
  lost integer not null default 0,
  primary key (rollback_id, lane_id)
);
create index rollback_lanes_due on rollback_lanes (next_at) where returned_at is null;

-- What a return would lose, and how long it would take, is asked for all the time.
create index reverse_sends_skipped on reverse_sends (lane_id) where ending = 'skipped';
create index reverse_sends_applied on reverse_sends (ended_at) where ending = 'applied';
