-- What a pair of answers was judged with beside rules and texts (the moment, the clocks' offset, what had expired), to judge it again.
-- Null where there is none: whole lanes, and what was stored before this column.
alter table differences add column judged_with jsonb;
