-- What cached answers are checked against: a value for each session that is another one after every change of what it holds, whoever
-- made it and however. Random and never the same again, so that a value always stands for the same content: also after a restore.

create table session_versions (
  session_id text primary key,
  version uuid not null
) with (fillfactor = 50);

-- In the order of the ids, so that two writers of several sessions wait for each other instead of dying of it.
create function renew_session_versions(session_ids text[]) returns void language sql as $$
  insert into session_versions as v (session_id, version)
  select id, gen_random_uuid() from (select distinct id from unnest(session_ids) id) ids order by id
  on conflict (session_id) do update set version = excluded.version
$$;

create function sessions_written() returns trigger language plpgsql as $$
begin
  perform renew_session_versions(array(select session_id from written));
  return null;
end $$;

-- A row may have moved from one session to another.
create function sessions_rewritten() returns trigger language plpgsql as $$
begin
  perform renew_session_versions(array(select session_id from written union select session_id from overwritten));
  return null;
end $$;

-- What nobody could see any more, such as the rows that the purge removes, is in no answer.
create function memories_removed() returns trigger language plpgsql as $$
begin
  perform renew_session_versions(array(
    select session_id from removed where is_active and (expires_at is null or expires_at > now())));
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

-- Until when an answer about a session is the same without anybody's doing.
create index memory_entries_expiring_in_session on memory_entries (session_id, expires_at) where expires_at is not null;
