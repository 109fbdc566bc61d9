-- The proxies that share this journal, what each of them may have written elsewhere, and the agents that they serve.

create table replicas (
  id uuid primary key,
  started_at timestamptz not null default now(),
  heartbeat_at timestamptz not null default now(),
  coverage jsonb not null default '{}',
  -- The services that it serves. Null: any.
  services text[],
  -- The spill that it writes to while it cannot reach this database.
  spill uuid
);

-- A replica that cannot reach this database notes its writes down on its own disk, and replays them afterwards.
create table spills (
  id uuid primary key,
  -- The journal holds the records up to here: the transaction that writes them sets this number.
  replayed bigint not null default 0,
  -- Since when the spill may hold writes that the journal does not know. Until they are replayed, no lane of these services is read from
  -- the orchestrator.
  open_since timestamptz,
  -- The services whose writes it may hold. Null: any.
  services text[]
);
create index spills_open on spills (open_since) where open_since is not null;

-- Agents that have asked a service through a proxy, by the names they give. Bounded: those that asked longest ago are deleted.
create table agents (
  service text not null,
  name text not null,
  dialect text not null,
  requests bigint not null,
  first_at timestamptz not null default now(),
  last_at timestamptz not null,
  primary key (service, name)
);
create index agents_last on agents (last_at desc);
