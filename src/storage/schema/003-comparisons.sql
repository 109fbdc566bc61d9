-- What comparisons of both backends found, and what they were judged by.

-- Redacted: shapes and digests, never content.
create table differences (
  id bigint generated always as identity primary key,
  at timestamptz not null,
  service text not null,
  action text not null,
  lane text not null,
  operation_id uuid not null,
  primary_backend text not null,
  comparison jsonb not null,
  -- What else the answers were judged with, beside rules and texts: the moment, the clocks' offset, what had expired. With it they can be
  -- judged again. Null if there was none, as for a whole lane.
  judged_with jsonb
);
create index differences_recent on differences (service, id desc);

-- What was compared, if the operator turned samples on. Sealed if a key is configured, and deleted when it expires.
create table difference_samples (
  difference_id bigint primary key references differences (id) on delete cascade,
  expires_at timestamptz not null,
  body text not null
);
create index difference_samples_expired on difference_samples (expires_at);

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
  -- How often each likely cause was found. A cause that was found once is kept when a later difference shows none.
  hint_counts jsonb not null default '{}',
  -- Registers of a HyperLogLog: of two values the larger counts the lanes of both.
  lane_registers smallint[] not null,
  examples jsonb not null,
  primary key (service, action, path, class, shape)
);
create index difference_signatures_oldest on difference_signatures (service, last_at);

-- Rules that operators added to those of the definitions. A removed rule stays, because it explains old verdicts.
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

-- How often a rule accepted a difference, on all replicas. The rules of definitions are counted, too.
create table rule_hits (
  service text not null,
  action text not null,
  rule text not null,
  hits bigint not null,
  last_hit_at timestamptz not null,
  primary key (service, action, rule)
);

-- Distinct reads of the last days, which both backends are asked again. The request is sealed if a key is configured.
create table kept_reads (
  service text not null,
  digest text not null,
  lane text not null,
  action text not null,
  request text not null,
  last_at timestamptz not null default now(),
  -- The state of the lane, and the version of everything that judges answers, when the read was last asked again.
  asked_for text,
  asked_at timestamptz,
  primary key (service, digest)
);
create index kept_reads_last on kept_reads (service, last_at desc);
