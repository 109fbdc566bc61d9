-- Trips of the guard. Inserted once, changed once: at the release. One open row a service.
create table latches (
  id bigint generated always as identity primary key,
  service text not null,
  -- What was found, with the numbers it was judged by.
  finding jsonb not null,
  replica uuid not null,
  tripped_at timestamptz not null default now(),
  cool_down_until timestamptz not null,
  released_at timestamptz,
  released_by text,
  release_reason text
);
create unique index latches_open on latches (service) where released_at is null;

-- What each replica counted in each minute: what the windows are filled with after a start, and what backtests replay.
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

-- Comparisons of an action since the last change of its definition or rules, which the digest stands for.
create table evidence (
  service text not null,
  action text not null,
  digest text not null,
  comparable bigint not null default 0,
  errors bigint not null default 0,
  mismatches bigint not null default 0,
  since timestamptz not null default now(),
  primary key (service, action, digest)
);

-- How much of a flag was let through; of read-cutover by action, else the action is empty.
create table interlock_grants (
  service text not null,
  flag text not null,
  action text not null default '',
  percentage integer not null,
  at timestamptz not null default now(),
  primary key (service, flag, action)
);

-- What a person answers for by name: an action without evidence, or actions nobody knows.
create table interlock_acceptances (
  service text not null,
  subject text not null,
  person text not null,
  reason text not null,
  at timestamptz not null default now(),
  primary key (service, subject)
);

-- Everything a person, or the guard, changed.
create table audit (
  id bigint generated always as identity primary key,
  at timestamptz not null default now(),
  person text not null,
  command text not null,
  service text not null,
  reason text not null,
  details jsonb not null default '{}'
);
