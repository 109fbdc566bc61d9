-- The coverage under which the write would seed its lane, should it turn out to have been applied: known only to the replica that sent it,
-- which knew then whether every other one journaled too. Null: a copy must look.
alter table unknown_outcomes add column seeds_under bigint;
