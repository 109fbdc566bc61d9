-- Distinct reads of the last days, to be asked of both backends again. The request is sealed where a key is configured.
create table kept_reads (
  service text not null,
  digest text not null,
  lane text not null,
  action text not null,
  request text not null,
  last_at timestamptz not null default now(),
  -- State of the lane, and version of all that judges answers, for which it was asked again last.
  asked_for text,
  asked_at timestamptz,
  primary key (service, digest)
);
create index kept_reads_last on kept_reads (service, last_at desc);
