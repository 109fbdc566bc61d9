-- Several replicas share the lanes. One of them, the lane's home, delivers and copies: its claim lasts as long as it lives, which
-- its heartbeat says, and ends when nothing of the lane waits any more. The fencing number counts the homes a lane has had.
alter table lanes drop column claim_until;
-- While a copy reads a lane, no other replica may begin a write of it.
alter table lanes rename column open_replica to hold_replica;
alter table lanes rename column open_until to hold_until;
-- Who wrote the newest sequence. Another replica's next write waits for that one's outcome.
alter table lanes add column writer_replica uuid;
-- Another replica has written what the home must deliver.
alter table lanes add column foreign_count bigint not null default 0;
alter table lanes add column foreign_seen bigint not null default 0;
create index lanes_foreign on lanes (claim_replica) where foreign_count > foreign_seen;

-- Since when no write is under way any more that this coverage's journal does not know: copies may begin.
alter table coverage add column quiet_at timestamptz;
