-- How far a run has come, by service: added to with each page, so that a look reads no pages. What was left out stays with the pages.
create table run_counters (
  run_id bigint not null references runs (id) on delete cascade,
  service text not null,
  lanes bigint not null default 0,
  lanes_done bigint not null default 0,
  counts jsonb not null default '{}',
  -- Sum modulo 2^128 of the lanes' digests.
  digest numeric not null default 0,
  primary key (run_id, service)
);

insert into run_counters (run_id, service, lanes, lanes_done, counts, digest)
select p.run_id, p.service, sum(cardinality(p.owners)),
  coalesce(sum(cardinality(p.owners)) filter (where p.done_at is not null), 0),
  coalesce((select jsonb_object_agg(c.name, c.total) from (
    select e.key as name, sum(e.value::numeric) as total
    from run_pages d cross join lateral jsonb_each_text(d.result -> 'counts') e
    where d.run_id = p.run_id and d.service = p.service and d.done_at is not null group by e.key) c), '{}'),
  coalesce(mod(sum(
    ('x' || substr(p.result ->> 'digest', 1, 8))::bit(32)::bigint * 79228162514264337593543950336
    + ('x' || substr(p.result ->> 'digest', 9, 8))::bit(32)::bigint * 18446744073709551616
    + ('x' || substr(p.result ->> 'digest', 17, 8))::bit(32)::bigint * 4294967296::numeric
    + ('x' || substr(p.result ->> 'digest', 25, 8))::bit(32)::bigint), 340282366920938463463374607431768211456), 0)
from run_pages p group by p.run_id, p.service;
