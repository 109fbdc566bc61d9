-- The lane's sequence when it was repaired: what agents wrote since decides what of the repair can be put back. Null for those of before.
alter table repair_steps add column sequence bigint;
