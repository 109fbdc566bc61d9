-- What a write names by place or condition ("delete reminder 3"), as found before it was sent: digests, sealed where a key is configured.
alter table writes add column named text;
