-- Backfill, reconciliation and repair: work over many lanes, begun by a person, shared by the replicas, taken up again after a crash.
create table runs (
  id bigint generated always as identity primary key,
  kind text not null check (kind in ('backfill', 'reconcile', 'repair')),
  -- What was asked for: services, owner, rate, limits, who and why.
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

-- Lanes that are worked on together, claimed as lanes are: for as long as the replica lives.
create table run_pages (
  run_id bigint not null references runs (id) on delete cascade,
  page integer not null,
  service text not null,
  owners text[] not null,
  -- Only this replica may take the page while it lives: it is the home of these lanes.
  home uuid,
  claim_replica uuid,
  attempts integer not null default 0,
  not_before timestamptz not null default now(),
  done_at timestamptz,
  result jsonb,
  primary key (run_id, page)
);
create index run_pages_waiting on run_pages (run_id, page) where done_at is null;

-- What both sides were last seen to hold of a lane: 24 bytes an item, half a digest and a time. Says afterwards which side moved.
create table lane_baselines (
  lane_id bigint primary key,
  sequence bigint not null,
  items integer not null,
  digest text not null,
  entries bytea not null,
  at timestamptz not null default now()
);

-- Lanes that a reconciliation found unequal. No content: kinds, ids, digests.
create table divergences (
  id bigint generated always as identity primary key,
  run_id bigint not null,
  service text not null,
  owner text not null,
  found_at timestamptz not null default now(),
  findings jsonb not null,
  before jsonb not null,
  after jsonb not null,
  -- `lost`: a person decides. `gone`: it was equal, or another finding, when looked at again.
  state text not null default 'open' check (state in ('open', 'lost', 'repaired', 'undone', 'gone')),
  settled_at timestamptz
);
create index divergences_of_run on divergences (run_id, id);
create index divergences_open on divergences (service, owner) where state in ('open', 'lost');

-- Items that legacy does not show any more, and nobody deleted. They stay on the orchestrator until a person decides by name.
create table lost_items (
  service text not null,
  owner text not null,
  memory_id text not null,
  digest text not null,
  found_at timestamptz not null default now(),
  decision text check (decision in ('accepted', 'restored', 'returned')),
  decided_at timestamptz,
  decided_by text,
  reason text,
  primary key (service, owner, memory_id)
);

-- What a repair changed, and the writes that put it back; sealed where a key is configured.
create table repair_steps (
  run_id bigint not null,
  service text not null,
  owner text not null,
  inverse text not null,
  at timestamptz not null default now(),
  undone_at timestamptz,
  primary key (run_id, service, owner)
);
