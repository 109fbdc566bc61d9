-- A difference of a lane whose primary is the orchestrator counts against legacy. It has a state of its own, so that nothing that looks at
-- the other open states lowers reads because of it.
alter table divergences drop constraint divergences_state_check;
alter table divergences add constraint divergences_state_check
  check (state in ('open', 'lost', 'accepted', 'repaired', 'copied', 'undone', 'gone', 'legacy_differs'));
drop index divergences_standing;
create index divergences_standing on divergences (service, owner) include (state, differing, run_id)
  where state in ('open', 'lost', 'accepted', 'undone', 'legacy_differs');
