-- What decides whether the orchestrator may answer: evidence, interlocks, flags, and the guard's counts and trips.

-- Comparisons of an action since the last change of its definition or rules, which the digest stands for. Comparisons of whole lanes are
-- counted apart from those of the action's own answers, which they must not outvote.
create table evidence (
  service text not null,
  action text not null,
  digest text not null,
  comparable bigint not null default 0,
  errors bigint not null default 0,
  mismatches bigint not null default 0,
  lane_comparable bigint not null default 0,
  lane_mismatches bigint not null default 0,
  since timestamptz not null default now(),
  primary key (service, action, digest)
);

-- The version that the orchestrator reports of itself, one row per change. Evidence is gathered under the row's number. A version that
-- comes back gets a new number, because its comparisons did not cover what the version in between wrote.
create table orchestrator_releases (
  number bigint generated always as identity primary key,
  version text not null,
  seen_at timestamptz not null default now()
);

-- How much of a flag was let through. The action is empty, except for read-cutover, which is granted by action.
create table interlock_grants (
  service text not null,
  flag text not null,
  action text not null default '',
  percentage integer not null,
  at timestamptz not null default now(),
  primary key (service, flag, action)
);

-- What a person answers for by name: an action without evidence, or actions that no definition knows.
create table interlock_acceptances (
  service text not null,
  subject text not null,
  person text not null,
  reason text not null,
  at timestamptz not null default now(),
  primary key (service, subject)
);

-- The flags as a flag server last gave them, by its address and token. A start without the server uses them.
create table kept_flags (
  source text primary key,
  definitions text not null,
  read_at timestamptz not null default now()
);

-- What each replica counted in each minute. A start fills the guard's windows with it, and backtests replay it.
create table guard_minutes (
  minute timestamptz not null,
  service text not null,
  action text not null,
  replica uuid not null,
  counts jsonb not null,
  updated_at timestamptz not null default now(),
  primary key (service, action, minute, replica)
);
create index guard_minutes_recent on guard_minutes (minute);

-- Trips of the guard. A row is inserted at the trip and completed at the release. Each service has at most one open row.
create table latches (
  id bigint generated always as identity primary key,
  service text not null,
  -- What was found, with the numbers it was judged by.
  finding jsonb not null,
  replica uuid not null,
  tripped_at timestamptz not null default now(),
  cool_down_until timestamptz not null,
  -- The flags that the trip switched off on the flag server, where people see them; null until it has.
  flags_off jsonb,
  released_at timestamptz,
  released_by text,
  release_reason text
);
create unique index latches_open on latches (service) where released_at is null;

-- What was known when the guard tripped, for the person who looks for the cause: one JSON text per latch.
create table trip_bundles (
  latch bigint primary key references latches (id),
  service text not null,
  at timestamptz not null default now(),
  trigger text not null,
  bundle text not null
);
create index trip_bundles_newest on trip_bundles (service, latch desc);

-- What the lanes that read from either backend saw in ten minutes, by replica: sums over groups of lanes, for status and daily report.
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
