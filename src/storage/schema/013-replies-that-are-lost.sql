-- The write took effect on the orchestrator, and the process that had its reply is gone. Its agent may repeat the request.
alter table kept_replies add column is_lost boolean not null default false;
