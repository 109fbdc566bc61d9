-- What cached answers are checked against: one value per session. Every change of the session's content replaces it, whichever
-- statement makes that change. The values are random and never return, so that a value always belongs to the same content, also after a
-- restore.

create table session_versions (
  session_id text primary key,
  version uuid not null
) with (fillfactor = 50);

-- Each of the three functions writes in the order of the ids. So two writers of several sessions wait for each other and do not
-- deadlock. Each holds its statement itself, because PostgreSQL does not keep the plan of a statement in a function that it calls.

create function sessions_written() returns trigger language plpgsql as $$
begin
  insert into session_versions as v (session_id, version)
  select session_id, gen_random_uuid() from (select distinct session_id from written) ids order by session_id
  on conflict (session_id) do update set version = excluded.version;
  return null;
end $$;

-- Also reads the rows as they were before, because a row may have moved from one session to another.
create function sessions_rewritten() returns trigger language plpgsql as $$
begin
  insert into session_versions as v (session_id, version)
  select session_id, gen_random_uuid() from (select session_id from written union select session_id from overwritten) ids order by session_id
  on conflict (session_id) do update set version = excluded.version;
  return null;
end $$;

-- Skips rows that no reader could see any more, such as those that the purge removes, because no answer contains them.
create function memories_removed() returns trigger language plpgsql as $$
begin
  insert into session_versions as v (session_id, version)
  select session_id, gen_random_uuid() from (
    select distinct session_id from removed where is_active and (expires_at is null or expires_at > now())) ids order by session_id
  on conflict (session_id) do update set version = excluded.version;
  return null;
end $$;

create function everything_removed() returns trigger language plpgsql as $$
begin
  update session_versions set version = gen_random_uuid();
  return null;
end $$;

create trigger memories_inserted after insert on memory_entries
  referencing new table as written for each statement execute function sessions_written();
create trigger memories_updated after update on memory_entries
  referencing new table as written old table as overwritten for each statement execute function sessions_rewritten();
create trigger memories_deleted after delete on memory_entries
  referencing old table as removed for each statement execute function memories_removed();
create trigger memories_truncated after truncate on memory_entries
  for each statement execute function everything_removed();

create trigger sessions_inserted after insert on sessions
  referencing new table as written for each statement execute function sessions_written();
create trigger sessions_updated after update on sessions
  referencing new table as written old table as overwritten for each statement execute function sessions_rewritten();
