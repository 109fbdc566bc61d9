-- Daily reports, and the record of everything that a person or the guard changed.

-- A row without made_at is a report that its claiming replica is making.
create table reports (
  -- YYYY-MM-DD in the configured zone.
  day text primary key check (day ~ '^\d{4}-\d\d-\d\d$'),
  claim_replica uuid,
  made_at timestamptz,
  -- The services that it covers: proxies with different services each add theirs. Null: all.
  services text[],
  failed_criteria integer not null default 0,
  html text,
  md text,
  json text,
  -- Running totals at that time: the next report shows what was added since.
  totals jsonb
);

-- Where each report is delivered. A delivered report is not delivered again.
create table report_deliveries (
  day text not null references reports (day) on delete cascade,
  target text not null check (target in ('webhook', 'folder')),
  claim_replica uuid,
  failures integer not null default 0,
  last_problem text,
  not_before timestamptz not null default now(),
  delivered_at timestamptz,
  given_up_at timestamptz,
  primary key (day, target)
);
create index report_deliveries_due on report_deliveries (not_before) where delivered_at is null and given_up_at is null;

create table audit (
  id bigint generated always as identity primary key,
  at timestamptz not null default now(),
  person text not null,
  command text not null,
  service text not null,
  reason text not null,
  details jsonb not null default '{}'
);
-- The audit of one service is read page by page, newest first.
create index audit_of_service on audit (service, id desc);
