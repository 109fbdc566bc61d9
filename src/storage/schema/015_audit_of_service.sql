-- The audit of one service is read a page at a time, from the newest on.
create index audit_of_service on audit (service, id desc);
