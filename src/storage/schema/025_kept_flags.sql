-- The flags as a server gave them last, by its address and token. A start while it is away goes on with them.
create table kept_flags (
  source text primary key,
  definitions text not null,
  read_at timestamptz not null default now()
);
