-- Which services a replica serves, and whose writes a spill may hold. Null: any, as versions before this one say it.
alter table replicas add column services text[];
alter table spills add column services text[];
-- Replicas with different services each begin what is due for theirs.
drop index runs_scheduled;
create unique index runs_scheduled
  on runs (kind, (request ->> 'scope'), (request ->> 'scheduled'), (request -> 'services'))
  where request ->> 'scheduled' is not null;
