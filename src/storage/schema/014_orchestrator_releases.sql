-- Versions of the orchestrator, as it says of itself, each time another one was seen: evidence is gathered under their number. One that
-- comes back has another number than before: what the one between them wrote, nobody compared for it.
create table orchestrator_releases (
  number bigint generated always as identity primary key,
  version text not null,
  seen_at timestamptz not null default now()
);
