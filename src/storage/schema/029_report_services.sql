-- The services that a report covers: proxies with different services each add theirs. Null: all, of reports made before this column.
alter table reports add column services text[];
