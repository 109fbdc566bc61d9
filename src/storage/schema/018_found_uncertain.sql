-- The foreign count with which another replica than the home has found the lane's history uncertain last: until the home was told of it,
-- it begins no copy, which might read before a write of unknown outcome takes effect.
alter table lanes add column uncertain_count bigint not null default 0;
