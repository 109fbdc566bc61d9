-- A difference that a reconciliation found keeps the reads of its lane on the primary: the number of the divergence, negative once it is settled.
-- It only ever rises in size, so that a replica can tell a newer value from an older one.
alter table lanes add column finding bigint not null default 0;

-- Findings of the lane that fence it: all but lost items, which a person decides about, and lanes that were never copied.
alter table divergences add column differing integer not null default 0;
update divergences set differing = (
  select count(*) from jsonb_array_elements(findings) as f(finding) where finding ->> 'kind' not in ('lost', 'not_seeded'));

-- `copied`: a copy made the lane equal. `accepted`: a person accepted the difference by name, and it is the same as it was then.
alter table divergences drop constraint divergences_state_check;
alter table divergences add constraint divergences_state_check
  check (state in ('open', 'lost', 'accepted', 'repaired', 'copied', 'undone', 'gone'));
alter table divergences add column accepted_by text;
alter table divergences add column accepted_reason text;

-- A repair that was undone leaves its lane unequal, and stopped. Of a lane that has been copied since, nothing stands.
update divergences d set state = 'gone' where state = 'undone' and not exists (
  select from lanes l where l.service = d.service and l.owner = d.owner and l.condition = 'stopped' and l.reason = 'repair_undone');

-- At most one of a lane: what is found next settles it.
drop index divergences_open;
create index divergences_standing on divergences (service, owner) include (state, differing, run_id)
  where state in ('open', 'lost', 'accepted', 'undone');

update lanes l set finding = d.id from divergences d
where d.service = l.service and d.owner = l.owner and d.state in ('open', 'lost') and d.differing > 0;
