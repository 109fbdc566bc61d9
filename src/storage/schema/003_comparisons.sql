-- Rules that operators added, beside those of the definitions. A removed one stays: it explains old verdicts.
create table comparison_rules (
  id bigint generated always as identity primary key,
  service text not null,
  action text not null,
  rule jsonb not null,
  added_at timestamptz not null default now(),
  removed_at timestamptz,
  removed_by text
);
create index comparison_rules_in_force on comparison_rules (service) where removed_at is null;

-- How often a rule accepted something, on all replicas; rules of definitions too.
create table rule_hits (
  service text not null,
  action text not null,
  rule text not null,
  hits bigint not null,
  last_hit_at timestamptz not null,
  primary key (service, action, rule)
);

-- What differences of one cause have in common. Redacted, as the differences are.
create table difference_signatures (
  service text not null,
  action text not null,
  path text not null,
  class text not null,
  shape text not null,
  count bigint not null,
  first_at timestamptz not null,
  last_at timestamptz not null,
  hint text,
  -- Registers of a HyperLogLog: the larger of two counts both.
  lane_registers smallint[] not null,
  examples jsonb not null,
  primary key (service, action, path, class, shape)
);
create index difference_signatures_oldest on difference_signatures (service, last_at);

-- What was compared, where the operator turned samples on: sealed where a key is configured, and deleted when it expires.
create table difference_samples (
  difference_id bigint primary key references differences (id) on delete cascade,
  expires_at timestamptz not null,
  body text not null
);
create index difference_samples_expired on difference_samples (expires_at);
