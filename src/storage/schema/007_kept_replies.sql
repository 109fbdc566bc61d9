-- Replies of the primary that no agent has got: they came late, or their agent was gone. A repeat is answered with them. Text as JSON,
-- sealed where a key is configured; null once a repeat has taken the write's place.
create table kept_replies (
  lane_id bigint not null,
  sequence bigint not null,
  reply text,
  at timestamptz not null default now(),
  primary key (lane_id, sequence)
);
create index kept_replies_at on kept_replies (at);
-- Until when such a repeat may come: only then is it looked for.
alter table lanes add column repeats_until timestamptz;
