import type { AuditEntry, AuditStore } from '../migration/guard/guard-ports.ts';
import type { Database, Session } from './database.ts';

/** Writes an entry down, in the transaction of what it tells about. */
export async function addAudit(session: Session, entry: Omit<AuditEntry, 'atMs'>): Promise<void> {
  await session.query(
    'insert into audit (person, command, service, reason, details) values ($1, $2, $3, $4, $5::jsonb)',
    [entry.person, entry.command, entry.service, entry.reason, JSON.stringify(entry.details)],
  );
}

/** The audit in PostgreSQL. */
export function createAuditStore(database: Database): AuditStore {
  return {
    add: (entry) => addAudit(database, entry),
    async recent(limit) {
      const rows = await database.query<Omit<AuditEntry, 'atMs'> & { readonly at: Date }>(
        'select at, person, command, service, reason, details from audit order by id desc limit $1',
        [limit],
      );
      return rows.map(({ at, ...entry }) => ({ ...entry, atMs: at.getTime() }));
    },
  };
}
