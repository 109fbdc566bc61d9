-- Backfill, reconciliation and repair: work on many lanes. A person or a schedule begins a run, the replicas share it, and after a crash
-- they continue it.

create table runs (
  id bigint generated always as identity primary key,
  kind text not null check (kind in ('backfill', 'reconcile', 'repair')),
  -- What was requested: services, owner, rate, limits, by whom and why.
  request jsonb not null,
  state text not null default 'listing' check (state in ('listing', 'running', 'stopped', 'finished', 'failed')),
  -- Why it stopped or failed.
  reason text not null default '',
  -- The replica that lists the owners.
  lister uuid,
  began_at timestamptz not null default now(),
  finished_at timestamptz,
  -- What was found before anything was written, by service.
  survey jsonb not null default '{}',
  -- What was done, by service: the document that reports quote.
  report jsonb
);
create index runs_open on runs (id) where state in ('listing', 'running');
create index runs_newest on runs (kind, finished_at desc);
-- A scheduled run begins once, whichever replica comes first, because its time is part of the request. Replicas with different services
-- each begin what is due for theirs.
create unique index runs_scheduled
  on runs (kind, (request ->> 'scope'), (request ->> 'scheduled'), (request -> 'services'))
  where request ->> 'scheduled' is not null;

-- Lanes of a run that still lists its owners, in the order in which they came. They are cut into pages when all are listed.
create table run_listings (
  id bigint generated always as identity primary key,
  run_id bigint not null references runs (id) on delete cascade,
  service text not null,
  owners text[] not null,
  -- When each owner was last written to, in milliseconds since 1970; null if unknown or not requested.
  newest_at_ms double precision[] not null
);
create index run_listings_of_run on run_listings (run_id, service);

-- Lanes that one replica works on together. A replica claims a page as it claims a lane: for as long as its heartbeats last.
create table run_pages (
  run_id bigint not null references runs (id) on delete cascade,
  page integer not null,
  service text not null,
  owners text[] not null,
  -- The home of these lanes. While that replica lives, only it may take the page.
  home uuid,
  claim_replica uuid,
  attempts integer not null default 0,
  not_before timestamptz not null default now(),
  done_at timestamptz,
  result jsonb,
  primary key (run_id, page)
);
create index run_pages_waiting on run_pages (run_id, page) where done_at is null;

-- How far a run has come, by service. Each page adds to it, so that a status request reads no pages. What was left out stays with the
-- pages.
create table run_counters (
  run_id bigint not null references runs (id) on delete cascade,
  service text not null,
  lanes bigint not null default 0,
  lanes_done bigint not null default 0,
  counts jsonb not null default '{}',
  -- Sum modulo 2^128 of the lanes' digests.
  digest numeric not null default 0,
  primary key (run_id, service)
);

-- What both sides were last seen to hold of a lane: 24 bytes per item, half a digest and a time. It later says which side moved.
create table lane_baselines (
  lane_id bigint primary key,
  sequence bigint not null,
  items integer not null,
  digest text not null,
  entries bytea not null,
  at timestamptz not null default now(),
  -- Two states of the lane that were once found to be the same list. While both sides show them, no comparison goes through its items.
  equal_legacy text,
  equal_orchestrator text
);

-- Lanes that a reconciliation found unequal. No content: kinds, ids, digests.
create table divergences (
  id bigint generated always as identity primary key,
  run_id bigint not null,
  service text not null,
  owner text not null,
  found_at timestamptz not null default now(),
  findings jsonb not null,
  -- How many findings fence the lane: all but lost items, which a person decides on, and lanes that were never copied.
  differing integer not null default 0,
  before jsonb not null,
  after jsonb not null,
  -- `lost`: a person decides. `gone`: at the next look the lane was equal, or another finding replaced this one. `copied`: a copy made
  -- the lane equal. `accepted`: a person accepted the difference by name, and it has not changed since. `undone`: the repair was undone,
  -- which leaves the lane unequal and stopped.
  state text not null default 'open' check (state in ('open', 'lost', 'accepted', 'repaired', 'copied', 'undone', 'gone')),
  resolved_at timestamptz,
  accepted_by text,
  accepted_reason text
);
create index divergences_of_run on divergences (run_id, id);
-- At most one row of a lane has one of these states, because the next finding resolves the one before it.
create index divergences_standing on divergences (service, owner) include (state, differing, run_id)
  where state in ('open', 'lost', 'accepted', 'undone');

-- Items that legacy no longer shows although no agent deleted them. They stay on the orchestrator until a person decides by name.
create table lost_items (
  service text not null,
  owner text not null,
  memory_id text not null,
  digest text not null,
  -- Tells the lost item from a later one, which may have its id and even its content. Null if unknown.
  position bigint,
  found_at timestamptz not null default now(),
  -- When the item was stored, and its fields redacted, so that a person can tell items apart. Null if unknown.
  stored_at timestamptz,
  shape text,
  -- Since when the item is being stored on legacy again. It is decided only when legacy has taken it: a replica that dies in between
  -- leaves it open.
  restoring_since timestamptz,
  decision text check (decision in ('accepted', 'restored', 'returned')),
  decided_at timestamptz,
  decided_by text,
  reason text,
  primary key (service, owner, memory_id)
);

-- What a repair changed in a lane, as the writes that undo it; sealed if a key is configured.
create table repair_steps (
  run_id bigint not null,
  service text not null,
  owner text not null,
  -- The lane's sequence when it was repaired. What agents wrote since then decides what of the repair can be undone. Null if unknown.
  sequence bigint,
  inverse text not null,
  at timestamptz not null default now(),
  undone_at timestamptz,
  primary key (run_id, service, owner)
);
