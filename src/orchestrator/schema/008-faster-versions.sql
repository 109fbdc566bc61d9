-- As before, but each trigger holds its statement itself: the plan of a statement in another function is not kept.

create or replace function sessions_written() returns trigger language plpgsql as $$
begin
  insert into session_versions as v (session_id, version)
  select session_id, gen_random_uuid() from (select distinct session_id from written) ids order by session_id
  on conflict (session_id) do update set version = excluded.version;
  return null;
end $$;

create or replace function sessions_rewritten() returns trigger language plpgsql as $$
begin
  insert into session_versions as v (session_id, version)
  select session_id, gen_random_uuid() from (select session_id from written union select session_id from overwritten) ids order by session_id
  on conflict (session_id) do update set version = excluded.version;
  return null;
end $$;

create or replace function memories_removed() returns trigger language plpgsql as $$
begin
  insert into session_versions as v (session_id, version)
  select session_id, gen_random_uuid() from (
    select distinct session_id from removed where is_active and (expires_at is null or expires_at > now())) ids order by session_id
  on conflict (session_id) do update set version = excluded.version;
  return null;
end $$;

drop function renew_session_versions;
