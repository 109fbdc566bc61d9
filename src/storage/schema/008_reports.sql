-- Daily reports. A row without a time is being made, by the replica that has claimed it.
create table reports (
  -- YYYY-MM-DD in the configured zone.
  day text primary key check (day ~ '^\d{4}-\d\d-\d\d$'),
  claim_replica uuid,
  made_at timestamptz,
  failed_criteria integer not null default 0,
  html text,
  md text,
  json text,
  -- Running totals at that time: the next report shows what came since.
  totals jsonb
);

-- Where each report is taken. Kept with it: what was delivered is not delivered again.
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
