-- A vector that fits a page stays in its row: to fetch one from beside the table took many times as long as to compare it.
do $$
declare part regclass;
begin
  for part in
    select oid from pg_class where relkind = 'r' and (oid = 'vector_embeddings'::regclass
      or oid in (select inhrelid from pg_inherits where inhparent = 'vector_embeddings'::regclass))
  loop
    execute format('alter table %s set (toast_tuple_target = 8160)', part);
  end loop;
end $$;
