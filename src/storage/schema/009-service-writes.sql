-- The end of a migration: a service whose legacy takes no more writes, and then is not needed any more.

-- Whether legacy still takes writes of a service. A service without a row is open. Every intent commit returns the state.
create table service_writes (
  service text primary key,
  state text not null check (state in ('open', 'read_only', 'complete')),
  -- When the state was recorded, by whom and why.
  since timestamptz not null default now(),
  person text not null,
  reason text not null,
  -- When legacy had every write up to the recorded sequences, and nothing that was sent before could still arrive.
  settled_at timestamptz,
  -- Since when legacy is known to be unchanged. Begins with a verified backup, and again with each foreign writer.
  clock_began_at timestamptz,
  clock_restarts integer not null default 0,
  -- When one replica last began to compare legacy's store with what was recorded, and what the last finished comparison found.
  census_at timestamptz,
  census jsonb,
  completed_at timestamptz,
  -- What the certificate says, as canonical JSON. Stored by the statement that completes the service.
  statement text,
  -- The signed certificate.
  certificate text
);

-- The last write of each lane that legacy gets, as it was when the service became read-only. A lane without a row was born later, and
-- legacy gets nothing of it.
create table read_only_lanes (
  lane_id bigint primary key references lanes (id),
  service text not null,
  sequence bigint not null,
  -- Set for a lane that never moved and that a person gave up.
  given_up_by text,
  given_up_reason text
);
create index read_only_lanes_of_service on read_only_lanes (service);

-- Copies of a legacy store that were restored and read back.
create table service_backups (
  id bigint generated always as identity primary key,
  service text not null,
  folder text not null,
  made_at timestamptz not null,
  manifest_sha256 text not null,
  lanes integer not null,
  items bigint not null,
  restored_at timestamptz not null default now()
);
create index service_backups_newest on service_backups (service, made_at desc);

-- What changed on legacy although no write was sent to it. One row per lane and change; what is seen again only moves `seen_at`.
create table foreign_changes (
  id bigint generated always as identity primary key,
  service text not null,
  owner text not null,
  -- `writer`: it restarts the clock. `reader`: something was used, and nothing changed.
  kind text not null check (kind in ('writer', 'reader')),
  -- Digest of what was found, so that the same change counts once.
  digest text not null,
  -- Counts by kind of change. No content.
  changes jsonb not null,
  -- The writers that the service itself names; empty if it names none.
  writers text[] not null default '{}',
  found_at timestamptz not null default now(),
  seen_at timestamptz not null default now(),
  unique (service, owner, digest)
);

-- Persons who agree to complete a service. An approval holds for the facts that it names.
create table completion_approvals (
  service text not null,
  person text not null,
  facts text not null,
  reason text not null,
  at timestamptz not null default now(),
  primary key (service, person)
);
