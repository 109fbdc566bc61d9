-- How often each likely cause of a signature was found: one found once is not forgotten for a difference that shows none. The column `hint`
-- is what versions before this one write.
alter table difference_signatures add column hint_counts jsonb not null default '{}';
update difference_signatures set hint_counts = jsonb_build_object(hint, count) where hint is not null;
