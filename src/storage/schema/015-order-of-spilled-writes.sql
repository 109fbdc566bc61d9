-- When a write was journaled, by this database's clock. Null: it was spilled, and was replayed later.
alter table writes add column journaled_at timestamptz default now();
-- The first write of the lane that was journaled after a spilled write had taken effect. Null: none is known.
alter table writes add column precedes bigint;
