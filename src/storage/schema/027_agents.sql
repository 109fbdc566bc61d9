-- Agents that have asked a service through a proxy, by the names they go by. Bounded: those that asked longest ago leave.
create table agents (
  service text not null,
  name text not null,
  dialect text not null,
  requests bigint not null,
  first_at timestamptz not null default now(),
  last_at timestamptz not null,
  primary key (service, name)
);
create index agents_last on agents (last_at desc);
