-- Since when an item is being stored on legacy anew: only when legacy has taken it, it is decided. Whoever died meanwhile leaves it open.
alter table lost_items add column restoring_since timestamptz;
