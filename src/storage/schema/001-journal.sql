-- The journal: the lanes, and for each write its intent, its outcome and what a failure left.

-- A numbered span of time during which every write of a service is journaled.
create table coverage (
  number bigint generated always as identity primary key,
  service text not null,
  began_at timestamptz not null default now(),
  -- Since then no write is under way that the journal does not know: copies may begin.
  quiet_at timestamptz,
  ended_at timestamptz
);
create unique index coverage_open on coverage (service) where ended_at is null;

-- One row per lane. Claims and holds are columns, so that no lock outlives a statement.
create table lanes (
  id bigint generated always as identity primary key,
  key text not null unique,
  service text not null,
  owner text not null,
  sequence bigint not null default 0,
  generation bigint not null default 0,
  epoch bigint not null default 0,
  primary_backend text not null default 'legacy' check (primary_backend in ('legacy', 'orchestrator')),
  condition text not null default 'clean' check (condition in ('clean', 'dirty', 'copying', 'stopped')),
  reason text not null default '',
  seeded_coverage bigint not null default 0,
  delivered_sequence bigint not null default 0,
  -- A copy has read the lane after this sequence, so the outcomes up to here are certain, whatever the table outcomes says.
  settled_sequence bigint not null default 0,
  -- Items that the secondary refused in the lane's last copy and that no person has accepted: see lane_exceptions.
  exceptions integer not null default 0,
  -- The number of the lane's open finding, which keeps its reads on the primary. Negative once the finding is resolved.
  -- Its absolute value only rises, so that a replica can tell a newer value from an older one.
  finding bigint not null default 0,

  -- The home: the one replica that delivers and copies the lane. Its claim lasts as long as its heartbeats, and ends when the lane
  -- is clean and delivered. The fence counts the homes that the lane has had.
  claim_replica uuid,
  claim_fence bigint not null default 0,
  -- While a copy or a comparison holds the lane, no other replica may begin a write.
  hold_replica uuid,
  hold_until timestamptz,
  -- The replica that wrote the newest sequence. The next write of another replica waits for the outcome of that one.
  writer_replica uuid,
  -- How many writes and marks other replicas have left for the home, and how many of them the home has seen.
  foreign_count bigint not null default 0,
  foreign_seen bigint not null default 0,
  -- The foreign count when another replica than the home last found the lane's history uncertain. Until the home has seen that count,
  -- it begins no copy, because the copy might read before a write of unknown outcome takes effect.
  uncertain_count bigint not null default 0,
  -- Until when an agent may repeat a write of this lane whose reply it did not receive. Later writes are not checked for being repeats.
  repeats_until timestamptz
) with (fillfactor = 70);
create index lanes_unwell on lanes (service, condition) where condition <> 'clean';
create index lanes_foreign on lanes (claim_replica) where foreign_count > foreign_seen;

-- Intents, stored before the primary is asked. The request is the text as it was sent, or sealed if a key is configured.
create table writes (
  lane_id bigint not null,
  sequence bigint not null,
  operation_id uuid not null,
  action text not null,
  request text not null,
  -- What a write names by place or condition ("delete reminder 3"), as found before it was sent: digests, sealed if a key is configured.
  named text,
  accepted_at timestamptz not null,
  replica uuid not null,
  -- The coverage under which every replica journaled when the write was accepted; 0 if one of them may not have. If legacy then no
  -- longer shows what it stored, the first copy of the lane finds that item lost.
  coverage bigint not null default 0,
  primary key (lane_id, sequence)
);
create index writes_accepted on writes (accepted_at);

-- Append-only, because an update of the intent's row would cost the lane's group commit dearly.
create table outcomes (
  lane_id bigint not null,
  sequence bigint not null,
  outcome text not null check (outcome in ('applied', 'refused', 'unknown', 'not_applied')),
  at timestamptz not null default now(),
  primary key (lane_id, sequence)
);
-- A start and a takeover look for these: a few rows among very many.
create index outcomes_unknown on outcomes (lane_id, sequence) where outcome = 'unknown';

-- Every write whose outcome was not known, with what settled it. The row is stored before the outcome, so that none is left out.
create table unknown_outcomes (
  lane_id bigint not null,
  sequence bigint not null,
  operation_id uuid not null,
  service text not null,
  lane text not null,
  action text not null,
  accepted_at timestamptz not null,
  found_at timestamptz not null default now(),
  -- The coverage under which the write would seed its lane if it turned out to be applied. Only the replica that sent the write knows
  -- it, because that replica knew whether every other one journaled too. Null: a copy must look.
  seeds_under bigint,
  -- When the outcome was settled, and by what.
  ended_at timestamptz,
  ending text check (ending in ('copied', 'late_reply', 'assumed_applied', 'assumed_lost')),
  -- After that, nothing can change it: the late reply came, a person decided, or the lane was compared once more after a minute.
  closed_at timestamptz,
  decided_by text,
  decided_reason text,
  primary key (lane_id, sequence)
);
create index unknown_outcomes_operation on unknown_outcomes (operation_id);
create index unknown_outcomes_recent on unknown_outcomes (found_at);
create index unknown_outcomes_open on unknown_outcomes (service) where closed_at is null;

-- Replies of the primary that no agent received: they came late, or the agent was gone. A repeat of the write is answered with them.
create table kept_replies (
  lane_id bigint not null,
  sequence bigint not null,
  -- The text as JSON, sealed if a key is configured. Null: a repeat took the write's place before a reply was kept.
  reply text,
  at timestamptz not null default now(),
  -- The sequence of the repeat that took the write's place. A further request for this sequence gets the same reply, because the first
  -- answer may not have arrived. The row stays until it is pruned.
  taken_by bigint,
  primary key (lane_id, sequence)
);
create index kept_replies_at on kept_replies (at);

-- How far deliveries or a copy of a lane had come at which time. A write reached the secondary with the first row whose sequence is
-- not below the write's own. Kept as long as the write.
create table lane_advances (
  lane_id bigint not null,
  sequence bigint not null,
  at timestamptz not null default now(),
  via text not null check (via in ('delivery', 'copy')),
  primary key (lane_id, sequence)
);

-- Writes that the secondary refuses for good: how often, and who dealt with each. They outlive the intent, which is deleted a day
-- after its delivery.
create table dead_letters (
  lane_id bigint not null,
  sequence bigint not null,
  operation_id uuid,
  action text,
  code text not null,
  reason text not null,
  attempts integer not null default 1,
  at timestamptz not null default now(),
  resolved_at timestamptz,
  resolution text check (resolution in ('redriven', 'skipped', 'copied')),
  resolved_by text,
  resolved_reason text,
  primary key (lane_id, sequence)
);
create index dead_letters_operation on dead_letters (operation_id);
create index dead_letters_open on dead_letters (lane_id, sequence) where resolved_at is null;

-- Items that the secondary refused in a lane's last copy. The lane's reads stay on the primary until a person accepts each item.
create table lane_exceptions (
  lane_id bigint not null,
  -- Names the item in every generation: a memory id, or a digest of what was to be created. Never content.
  item text not null,
  action text not null,
  code text not null,
  reason text not null,
  at timestamptz not null default now(),
  accepted_at timestamptz,
  accepted_by text,
  accepted_reason text,
  primary key (lane_id, item)
);
