-- What lanes that read from either backend saw in ten minutes, by replica: sums over groups of lanes, for status and daily report.
create table ab_slices (
  began_at timestamptz not null,
  service text not null,
  action text not null,
  replica uuid not null,
  counts jsonb not null,
  written_at timestamptz not null default now(),
  primary key (service, began_at, action, replica)
);
create index ab_slices_recent on ab_slices (began_at);
