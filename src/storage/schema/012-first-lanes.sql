-- The one lane of a service that a person lets flip before the way back is proven. Its writes prove the way back.
create table first_lanes (
  service text primary key,
  lane text not null,
  person text not null,
  reason text not null,
  at timestamptz not null default now()
);
