-- Creating what nothing stands against is one statement, fence and all. Where something does, this makes the statement fail as a whole,
-- and what it met is found out by statements that take longer.
create function all_created(created bigint, wanted bigint) returns boolean language plpgsql as $$
begin
  if created <> wanted then
    raise exception 'not every memory is plainly new' using errcode = 'CFNEW';
  end if;
  return true;
end $$;
