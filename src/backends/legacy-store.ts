import { access, type FileHandle, open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { readReply } from '../domain/request.ts';
import type { LegacyAccess } from '../domain/service-definition.ts';
import type { Clock } from '../shared/clock.ts';
import type { LegacyBackend } from '../engine/ports/ports.ts';
import { ConnectionError, messageOf } from '../domain/errors.ts';
import { parseTolerantly } from '../domain/json.ts';
import { SqliteReader } from './sqlite-reader.ts';

export interface LegacyAccessSettings {
  /** The service's SQLite file. */
  readonly sqlitePath?: string;
  /** The service's JSON file. */
  readonly jsonPath?: string;
  /** The service itself, read through its probe connection. */
  readonly backend?: LegacyBackend;
  /** Timeout of a call to the service, milliseconds. @defaultValue 4500 */
  readonly callTimeoutMs?: number;
  readonly clock: Clock;
}

/** Reads a legacy service's store through its configured file or its protocol. Opens nothing before the first read. */
export function createLegacyAccess(settings: LegacyAccessSettings): LegacyAccess & { stop(): Promise<void> } {
  const { sqlitePath, jsonPath, backend, clock, callTimeoutMs = 4_500 } = settings;
  const sqlite = sqlitePath === undefined ? undefined : new SqliteReader(sqlitePath);
  return {
    ...(sqlite && { sqlite: (sql, parameters) => sqlite.all(sql, parameters) }),
    ...(jsonPath !== undefined && { jsonFile: createJsonFileReader(jsonPath, clock) }),
    ...(backend && {
      call: async (text) => {
        const deadlineAtMs = clock.now() + callTimeoutMs;
        const { body } = await backend.send({ body: Buffer.from(text), purpose: 'probe', deadlineAtMs });
        return readReply(body);
      },
    }),
    stop: async () => sqlite?.stop(),
  };
}

/** How long a file may be incomplete, milliseconds. */
const PATIENCE_MS = 1_000;
const PAUSE_MS = 40;
const NOTHING_STORED = '{}';

/**
 * Reads a JSON file that its service may rewrite in place at the same time. A file that is empty, truncated or changed during the read
 * is read again, and never treated as empty. There is no cache, because two rewrites can have the same time stamp.
 */
function createJsonFileReader(path: string, clock: Clock): () => Promise<string> {
  let lastWhole: string | undefined;

  async function readWhole(): Promise<string> {
    const text = await readUnchanged(path);
    // Parsing only proves that nothing is missing.
    if (text !== lastWhole) parseTolerantly(text);
    lastWhole = text;
    return text;
  }

  return async () => {
    const endAtMs = clock.now() + PATIENCE_MS;
    for (;;) {
      try {
        return await readWhole();
      } catch (error) {
        if (clock.now() >= endAtMs) throw unreadable(path, error);
      }
      await clock.sleep(PAUSE_MS);
    }
  };
}

/** A service creates its file with its first entry. If only the folder exists, nothing was stored yet. */
async function openOrNothing(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, 'r');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    await access(dirname(path));
    return undefined;
  }
}

/** @throws Error if the file changed during the read */
async function readUnchanged(path: string): Promise<string> {
  const file = await openOrNothing(path);
  if (file === undefined) return NOTHING_STORED;
  try {
    const before = await file.stat({ bigint: true });
    const text = await file.readFile('utf8');
    const after = await file.stat({ bigint: true });
    if (before.mtimeNs !== after.mtimeNs || before.size !== after.size) {
      throw new Error('the file changed while it was read');
    }
    return text;
  } finally {
    await file.close();
  }
}

function unreadable(path: string, cause: unknown): ConnectionError {
  // The parser's message quotes the text.
  const why = cause instanceof SyntaxError ? 'the file is empty or its JSON is incomplete' : messageOf(cause);
  return new ConnectionError(`could not read ${path} within ${PATIENCE_MS} ms: ${why}`, {
    effect: 'not_applied',
    reason: 'unreadable',
    cause: cause instanceof SyntaxError ? undefined : cause,
  });
}
