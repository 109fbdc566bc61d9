-- The flags that a trip switched off where people see them; null until it has.
alter table latches add column flags_off jsonb;

-- What was known when the guard tripped, for whoever looks for the cause: one JSON text a latch.
create table trip_bundles (
  latch bigint primary key references latches (id),
  service text not null,
  at timestamptz not null default now(),
  trigger text not null,
  bundle text not null
);
create index trip_bundles_newest on trip_bundles (service, latch desc);
