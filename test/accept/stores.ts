import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { Database } from '../../src/storage/database.ts';

/** The contents of a store, read from its own files or tables and not through any program under test. */
export interface StoreContents {
  /** Session id → its interactions in order; an absent session has no entry. */
  readonly sessions: ReadonlyMap<string, readonly string[]>;
  /** Contextual session → `type\ncontent`, oldest first. */
  readonly entries: ReadonlyMap<string, readonly string[]>;
  readonly decisions: ReadonlyMap<string, readonly string[]>;
  /** User → canonical JSON of each memory, oldest first. */
  readonly memories: ReadonlyMap<string, readonly string[]>;
}

/** JSON text that is the same for every order of keys. */
export function canonical(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );
}

function grouped(rows: Iterable<readonly [string, string]>): Map<string, string[]> {
  const groups = new Map<string, string[]>();
  for (const [key, value] of rows) groups.set(key, [...(groups.get(key) ?? []), value]);
  return groups;
}

interface ContextualFile {
  readonly sessions: Readonly<Record<string, readonly { type: string; content: string }[]>>;
  readonly summaries: Readonly<Record<string, { key_decisions?: readonly { decision: string }[] }>>;
}

/** Reads the stand-ins' SQLite and JSON files. */
export function readLegacyStores(folder: string): StoreContents {
  const sqlite = new DatabaseSync(join(folder, 'session_memory.db'), { readOnly: true });
  const sessions = new Map<string, string[]>();
  for (const { session_id } of sqlite.prepare('select session_id from sessions').all())
    sessions.set(String(session_id), []);
  for (const row of sqlite.prepare('select session_id, role, content from interactions order by id').all()) {
    sessions.get(String(row['session_id']))?.push(`${String(row['role'])}\n${String(row['content'])}`);
  }
  sqlite.close();
  const contextual = readJson<ContextualFile>(folder, 'contextual_memory_store.json', {
    sessions: {},
    summaries: {},
  });
  const jarvis = readJson<Record<string, readonly { memory: unknown }[]>>(
    folder,
    'jarvis_memory_store.json',
    {},
  );
  return {
    sessions,
    entries: new Map(
      Object.entries(contextual.sessions).map(([id, list]) => [
        id,
        list.map(({ type, content }) => `${type}\n${content}`).toReversed(),
      ]),
    ),
    decisions: new Map(
      Object.entries(contextual.summaries).map(([id, summary]) => [
        id,
        (summary.key_decisions ?? []).map(({ decision }) => decision),
      ]),
    ),
    memories: new Map(
      Object.entries(jarvis).map(([user, list]) => [user, list.map(({ memory }) => canonical(memory))]),
    ),
  };
}

/** The stand-ins write as the originals do: who reads beside them may see a file that is only begun. */
const WHOLE_WITHIN_MS = 2_000;

function readJson<Value>(folder: string, name: string, empty: Value): Value {
  for (const startedAtMs = performance.now(); ;) {
    try {
      return JSON.parse(readFileSync(join(folder, name), 'utf8')) as Value;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return empty;
      const isBegun = error instanceof SyntaxError && performance.now() - startedAtMs < WHOLE_WITHIN_MS;
      if (!isBegun) throw error;
    }
  }
}

interface Row {
  readonly session_id: string;
  readonly tags: readonly string[];
  readonly content: Readonly<Record<string, unknown>>;
}

/** Reads the orchestrator's tables. */
export async function readOrchestratorStore(database: Database): Promise<StoreContents> {
  const open = await database.query<{ session_id: string }>(
    'select session_id from sessions where ended_at is null',
  );
  const rows = await database.query<Row>(
    'select session_id, tags, content from memory_entries where is_active order by session_id, position, memory_id',
  );
  const sessions = new Map<string, string[]>(open.map(({ session_id }) => [session_id, []]));
  const prefixed = (prefix: string, text: (row: Row) => string | undefined) =>
    grouped(
      rows.flatMap((row): [string, string][] => {
        const value = row.session_id.startsWith(prefix) ? text(row) : undefined;
        return value === undefined ? [] : [[row.session_id.slice(prefix.length), value]];
      }),
    );
  for (const { session_id, tags, content } of rows) {
    if (!tags.includes('conversation')) continue;
    const items = sessions.get(session_id) ?? [];
    sessions.set(session_id, [...items, `${String(content['role'])}\n${String(content['text'])}`]);
  }
  return {
    sessions,
    entries: prefixed('contextual:', ({ tags, content }) =>
      tags.includes('entry') ? `${String(content['type'])}\n${String(content['text'])}` : undefined,
    ),
    decisions: prefixed('contextual:', ({ tags, content }) =>
      tags.includes('decision') ? String(content['text']) : undefined,
    ),
    memories: prefixed('jarvis:', ({ content }) => canonical(content['memory'])),
  };
}
