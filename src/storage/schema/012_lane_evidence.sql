-- Comparisons of whole lanes stand beside those of an action's own answers, which they must not outvote. What was added up before does
-- not tell one from the other, and is gathered anew; what was granted stays.
truncate evidence;
alter table evidence
  add column lane_comparable bigint not null default 0,
  add column lane_mismatches bigint not null default 0;
