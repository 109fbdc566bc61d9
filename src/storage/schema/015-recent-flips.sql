-- How many lanes changed their primary in the last minute is asked for again and again.
create index flips_by_time on flips (at);
