-- What a schedule begins is begun once, whichever replica comes first: its time is part of what was asked for.
create unique index runs_scheduled on runs (kind, (request ->> 'scope'), (request ->> 'scheduled'))
  where request ->> 'scheduled' is not null;
