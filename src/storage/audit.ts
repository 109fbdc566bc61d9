import type { AuditEntry, AuditStore, StoredAuditEntry } from '../engine/guard/guard-ports.ts';
import type { Database, Session } from './database.ts';

/** An act on several services lists them in its details. */
export const OF_SERVICE = (parameter: string): string =>
  `(service = ${parameter} or details -> 'services' ? ${parameter})`;

const RECENT = `
select id, at, person, command, service, reason, details from audit
where ($2::text is null or ${OF_SERVICE('$2')}) and ($3::bigint is null or id < $3)
  and ($4::text is null or person = $4) and ($5::text is null or starts_with(command, $5))
order by id desc limit $1`;

/** Writes an entry in the transaction of the change that it records. */
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
    async recent({ limit, service = null, before = null, person = null, command = null }) {
      const rows = await database.query<Omit<StoredAuditEntry, 'atMs'> & { readonly at: Date }>(RECENT, [
        limit,
        service,
        before,
        person,
        command,
      ]);
      return rows.map(({ at, ...entry }) => ({ ...entry, atMs: at.getTime() }));
    },
  };
}
