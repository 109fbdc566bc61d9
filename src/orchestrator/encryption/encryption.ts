import { readFile } from 'node:fs/promises';
import type { Logger } from 'pino';
import { messageOf } from '../../domain/errors.ts';
import { fileProblem } from '../../domain/file-problem.ts';
import type { Database } from '../../storage/database.ts';
import type { Part } from '../part.ts';
import { type EncryptionKey, parseEncryptionKeys } from './keys.ts';
import { createReseal } from './reseal.ts';
import type { Place } from './sealed-content.ts';
import type { EncryptionSettings } from './settings.ts';
import { CLEAR, createVault, type Vault } from './vault.ts';
import { type VaultDatabase, withVault } from './vault-session.ts';

/** The database for the actions. If a key is configured, contents are encrypted on write and decrypted on read. */
export interface Encryption extends Part {
  readonly database: VaultDatabase;
  /** Encrypts texts that are stored outside the database; undefined if nothing is sealed. */
  readonly cover: Cover | undefined;
}

export interface EncryptionParts {
  readonly database: Database;
  readonly log: Logger;
}

/** Reads the keys at the start, which needs the database. @throws Error if the key of sealed contents is missing */
export function createEncryption(
  settings: EncryptionSettings,
  { database, log }: EncryptionParts,
): Encryption {
  let vault = CLEAR;
  let reseal: Part | undefined;
  const current: Vault = {
    get isSealing() {
      return vault.isSealing;
    },
    seal: (place, content) => vault.seal(place, content),
    sealText: (place, text) => vault.sealText(place, text),
    open: (place, sealed) => vault.open(place, sealed),
    queries: (search) => vault.queries(search),
    marks: (metadata) => vault.marks(metadata),
    fingerprint: (text) => vault.fingerprint(text),
  };
  const opened = withVault(database, current);
  return {
    database: opened,
    cover: settings.keys === undefined && settings.keysFile === undefined ? undefined : coverOf(current),
    async start() {
      const keys = await keysOf(settings);
      await refuseMissingKeys(database, keys);
      vault = createVault(keys);
      const [newest] = keys;
      if (newest === undefined || settings.resealRowsPerSecond === 0) return;
      const onError = (error: unknown): void =>
        log.warn(`Sealing existing contents with the newest key failed: ${messageOf(error)}`);
      reseal = createReseal(opened, {
        keyId: newest.id,
        rowsPerSecond: settings.resealRowsPerSecond,
        onError,
      });
      await reseal.start();
    },
    async stop() {
      await reseal?.stop();
    },
  };
}

interface Cover {
  seal(key: string, text: string): string;
  /** @throws StorageError */
  open(key: string, sealed: string): string;
}

function coverOf(vault: Vault): Cover {
  const placeOf = (key: string): Place => ({ memory_id: key, session_id: 'kept answer' });
  return {
    seal: (key, text) => vault.sealText(placeOf(key), text).text ?? '',
    open: (key, sealed) => vault.open(placeOf(key), sealed),
  };
}

async function keysOf({ keys, keysFile }: EncryptionSettings): Promise<EncryptionKey[]> {
  if (keys !== undefined && keysFile !== undefined)
    throw new Error('set either encryption.keys or encryption.keysFile, not both');
  if (keysFile === undefined) return parseEncryptionKeys(keys ?? '');
  const found = parseEncryptionKeys(await keysIn(keysFile));
  // An empty file is a mistake, not a request to store in clear.
  if (found.length === 0) throw new Error(`encryption.keysFile ${keysFile} contains no key`);
  return found;
}

async function keysIn(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (cause) {
    throw new Error(`encryption.keysFile ${file} cannot be read: ${fileProblem(cause)}`, { cause });
  }
}

// Reads one index entry per key. A plain distinct would read all rows.
const SEALED_WITH = `
with recursive used (key) as (
  (select content_key from memory_entries where content_key is not null order by content_key limit 1)
  union all
  select (select m.content_key from memory_entries m where m.content_key > used.key order by m.content_key limit 1)
  from used where used.key is not null
)
select key from used where key is not null
union select summary_key from sessions where summary_key is not null order by key`;

async function refuseMissingKeys(database: Database, keys: readonly EncryptionKey[]): Promise<void> {
  const known = new Set(keys.map(({ id }) => id));
  const used = await database.query<{ key: string }>(SEALED_WITH);
  const missing = used.map(({ key }) => key).filter((key) => !known.has(key));
  if (missing.length > 0)
    throw new Error(
      `The database has contents sealed with ${missing.map((key) => `"${key}"`).join(', ')}, which is not among the configured encryption keys: add it, because they cannot be read without it`,
    );
}
