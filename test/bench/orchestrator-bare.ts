import { vector } from '@electric-sql/pglite-pgvector';
import { Reply } from 'zeromq';
import { createPgliteDatabase, createPostgresDatabase } from '../../src/storage/database.ts';
import { serveParent, settingsOfChild } from './child.ts';
import { answerBarely, type BareRequest } from './orchestrator-bare-sql.ts';

// The baseline: a REP socket in front of the SQL, on a copy of what the orchestrator holds.

export interface BareSettings {
  readonly endpoint: string;
  /** PGlite's, or */
  readonly folder?: string;
  /** PostgreSQL's. */
  readonly url?: string;
}

// What belongs to the orchestrator's cache and not to the memories; and what whoever tunes a database by hand does first.
const WITHOUT_VERSIONS = `
  drop trigger memories_inserted on memory_entries; drop trigger memories_updated on memory_entries;
  drop trigger memories_deleted on memory_entries; drop trigger memories_truncated on memory_entries;
  drop trigger sessions_inserted on sessions; drop trigger sessions_updated on sessions`;

const { endpoint, folder, url } = settingsOfChild() as BareSettings;
const database =
  url === undefined
    ? createPgliteDatabase({ folder, extensions: { vector } })
    : createPostgresDatabase({ url });
await database.script(WITHOUT_VERSIONS);
await database.script('vacuum analyze');
const socket = new Reply({ linger: 0 });
await socket.bind(endpoint);

async function answer(message: Buffer | undefined): Promise<string> {
  try {
    const data = await answerBarely(database, JSON.parse(String(message)) as BareRequest);
    return JSON.stringify({ status: 'success', data });
  } catch (error) {
    return JSON.stringify({ status: 'error', error: String(error) });
  }
}

async function serve(): Promise<void> {
  for await (const [message] of socket) await socket.send(await answer(message));
}

process.once('SIGTERM', () => {
  socket.close();
  void database.close().finally(() => process.exit(0));
});
void serve();
serveParent(async () => ({ peak_mb: Math.round(process.resourceUsage().maxRSS / 1_024) }));
