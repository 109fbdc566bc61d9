-- Which item was lost: a later one may have its id, and even its content. Null for those of before.
alter table lost_items add column position bigint;
