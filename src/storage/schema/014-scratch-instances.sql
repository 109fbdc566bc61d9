-- Whether every lane of the backup was also read from an instance of the service that was started on the restored file.
alter table service_backups add column scratch_instance text not null default 'not_configured';
