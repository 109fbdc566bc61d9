-- When a lane's deliveries, or a copy of it, had come so far: a write reached the secondary with the first of them that is not below it.
-- Kept as long as the write.
create table lane_advances (
  lane_id bigint not null,
  sequence bigint not null,
  at timestamptz not null default now(),
  via text not null check (via in ('delivery', 'copy')),
  primary key (lane_id, sequence)
);
