-- The coverage under which every replica journaled when the write was accepted; 0 where one may not have. If legacy then no longer shows
-- what it stored, the first copy of its lane finds it lost.
alter table writes add column coverage bigint not null default 0;
