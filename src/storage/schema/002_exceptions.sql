-- Items that the secondary refused of a lane's last copy. The lane's reads stay on the primary until a person accepts each.
alter table lanes add column exceptions integer not null default 0;

create table lane_exceptions (
  lane_id bigint not null,
  -- Names the item, whatever generation copies it: a memory id, or a digest of what was to be created. Never content.
  item text not null,
  action text not null,
  code text not null,
  reason text not null,
  at timestamptz not null default now(),
  accepted_at timestamptz,
  accepted_by text,
  accepted_reason text,
  primary key (lane_id, item)
);
