-- Lanes of a run that is listing its owners, in the order they came: cut into pages when all are there.
create table run_listings (
  id bigint generated always as identity primary key,
  run_id bigint not null references runs (id) on delete cascade,
  service text not null,
  owners text[] not null,
  -- When each was written to last, milliseconds since 1970; null where nobody knows, or asks.
  newest_at_ms double precision[] not null
);
create index run_listings_of_run on run_listings (run_id, service);
