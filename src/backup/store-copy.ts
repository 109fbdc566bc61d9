import { createReadStream } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { backup, DatabaseSync } from 'node:sqlite';
import { messageOf } from '../domain/errors.ts';
import type { LegacyAccess } from '../domain/service-definition.ts';
import type { Message } from '../domain/request.ts';

/** The configured files of the service. */
export interface StorePaths {
  readonly sqliteFile?: string | undefined;
  readonly jsonFile?: string | undefined;
}

/** A snapshot of the store in a temporary folder. */
export interface StoreCopy {
  readonly kind: 'sqlite' | 'json';
  readonly originalName: string;
  readonly path: string;
  remove(): Promise<void>;
}

/** Opens a store's file in the same way as the proxy. */
export type OpenStore = (paths: {
  readonly sqlitePath?: string;
  readonly jsonPath?: string;
}) => LegacyAccess & { stop(): Promise<void> };

export function opened(
  open: OpenStore,
  { kind, path }: Pick<StoreCopy, 'kind' | 'path'>,
): ReturnType<OpenStore> {
  return open(kind === 'sqlite' ? { sqlitePath: path } : { jsonPath: path });
}

/** Pages of 4 KiB copied before the service may write again. A write in between makes SQLite start over; most stores fit into one step. */
const PAGES = 25_000;
const LOCK_TIMEOUT_MS = 5_000;

/** Copies a store while its service may write. Undefined if none is configured. @throws Error if it cannot be read */
export async function copyStore(
  paths: StorePaths,
  access: LegacyAccess,
  near: string,
): Promise<StoreCopy | undefined> {
  const { sqliteFile, jsonFile } = paths;
  const original = sqliteFile ?? jsonFile;
  if (original === undefined) return undefined;
  const folder = await mkdtemp(join(near, '.store-'));
  const copy: StoreCopy = {
    kind: sqliteFile === undefined ? 'json' : 'sqlite',
    originalName: basename(original),
    path: join(folder, basename(original)),
    remove: () => rm(folder, { recursive: true, force: true }),
  };
  try {
    if (sqliteFile !== undefined) await copySqlite(sqliteFile, copy.path);
    else await writeFile(copy.path, (await access.jsonFile?.()) ?? '{}', { mode: 0o600 });
    return copy;
  } catch (error) {
    await copy.remove();
    throw error;
  }
}

async function copySqlite(from: string, to: string): Promise<void> {
  const database = new DatabaseSync(from, { readOnly: true, timeout: LOCK_TIMEOUT_MS });
  try {
    await backup(database, to, { rate: PAGES });
  } catch (cause) {
    // For a file that stays locked, SQLite's backup reports "not an error" with code 0.
    const isLocked = (cause as { readonly errcode?: number }).errcode === 0;
    const why = isLocked ? 'the service kept the file locked; try again' : messageOf(cause);
    throw new Error(`${from} could not be copied: ${why}`, { cause });
  } finally {
    database.close();
  }
}

/** The problem inside a store file; undefined if it is intact. */
export function problemOfSqlite(path: string): string | undefined {
  const database = new DatabaseSync(path, { readOnly: true });
  try {
    const [row] = database.prepare('pragma integrity_check(1)').all();
    const verdict = String(row?.['integrity_check']);
    return verdict === 'ok' ? undefined : verdict;
  } finally {
    database.close();
  }
}

export const streamOf = (path: string) => createReadStream(path);

/** Reads through the service itself; only for services that reading does not change. */
export function doorToService(access: LegacyAccess): LegacyAccess {
  return access.call === undefined ? {} : { call: async (text) => asked(access, text) };
}

/** @throws Error if the service cannot be read, or does not answer */
export async function asked(access: LegacyAccess, text: string): Promise<Message> {
  const reply = await access.call?.(text);
  if (reply === undefined) throw new Error('the service cannot be read');
  return reply;
}
