-- The sequence of the repeat that has taken the write's place: whoever asks again under the same one gets the same reply, since it may
-- not have heard of the first time. It stays until it is pruned.
alter table kept_replies add column taken_by bigint;
