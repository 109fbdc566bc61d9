-- Replicas that cannot reach this database note their writes down on their own disks, and replay them afterwards.
create table spills (
  id uuid primary key,
  -- Records up to here are in the journal: written in the transaction that writes them.
  replayed bigint not null default 0,
  -- Since when there may be writes in it that nobody knows here. Until they are replayed no lane is read from the orchestrator.
  open_since timestamptz
);
create index spills_open on spills (open_since) where open_since is not null;
alter table replicas add column spill uuid;
