import type { Database, Session } from '../../storage/database.ts';
import { answerPlace, SEALED, summaryPlace } from './sealed-content.ts';
import type { Vault } from './vault.ts';

/** A session that decrypts its rows, with the vault to encrypt contents. */
export interface VaultSession extends Session {
  readonly vault: Vault;
}

export interface VaultDatabase extends Database, VaultSession {
  until(atMs: number): VaultDatabase;
  transaction<T>(work: (session: VaultSession) => Promise<T>): Promise<T>;
}

/**
 * Decrypts every sealed `content`, summary and kept answer of a result. It is the only place that does, so that no reader can forget it.
 * A row with one of the first two must also have its memory_id and session_id, a row with an answer its key as text.
 */
export function withVault(database: Database, vault: Vault): VaultDatabase {
  return {
    ...database,
    ...opening(database, vault),
    until: (atMs) => withVault(database.until(atMs), vault),
    transaction: (work) => database.transaction((session) => work(opening(session, vault))),
  };
}

function opening(session: Session, vault: Vault): VaultSession {
  return {
    vault,
    script: (sql) => session.script(sql),
    async query<Row extends object>(sql: string, params?: readonly unknown[]): Promise<Row[]> {
      const rows = await session.query<Row>(sql, params);
      for (const row of rows) openContent(row, vault);
      return rows;
    },
  };
}

function openContent(row: Row, vault: Vault): void {
  const { content, session_id: sessionId = '', sealed_summary: summary, answer } = row;
  if (typeof content === 'string' && content.startsWith(SEALED))
    row.content = vault.open({ memory_id: row.memory_id ?? '', session_id: sessionId }, content);
  if (typeof answer === 'string' && answer.startsWith(SEALED))
    row.answer = vault.open(answerPlace(row.key ?? ''), answer);
  if (summary === undefined) return;
  if (summary !== null) row.summary = vault.open(summaryPlace(sessionId), summary);
  delete row.sealed_summary;
}

interface Row {
  content?: unknown;
  summary?: unknown;
  answer?: unknown;
  sealed_summary?: string | null;
  readonly memory_id?: string;
  readonly session_id?: string;
  readonly key?: string;
}
