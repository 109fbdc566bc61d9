import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import { messageOf } from '../../domain/errors.ts';
import { fileProblem } from '../../shared/file-problem.ts';
import type { Database } from '../../storage/database.ts';
import type { Part } from '../part.ts';
import { encodeJson } from '../../domain/json.ts';
import type { EncryptionSettings } from '../settings.ts';
import { type EncryptionKey, parseEncryptionKeys } from './keys.ts';
import { answerPlace, CONTENT, type Place, SEALED, SUMMARY, summaryPlace } from './sealed-content.ts';
import { CLEAR, createVault, type Vault } from './vault.ts';
import { type VaultDatabase, withVault } from './vault-session.ts';

/** The database for the actions. If a key is configured, contents are encrypted on write and decrypted on read. */
interface Encryption extends Part {
  readonly database: VaultDatabase;
  /** Encrypts texts that are stored outside the database; undefined if nothing is sealed. */
  readonly cover: Cover | undefined;
}

interface EncryptionParts {
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
  // An empty file is a mistake, not a request to store unencrypted.
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
union select summary_key from sessions where summary_key is not null
union select split_part(answer, ':', 2) from memory_lanes where answer like '${SEALED}%' order by key`;

async function refuseMissingKeys(database: Database, keys: readonly EncryptionKey[]): Promise<void> {
  const known = new Set(keys.map(({ id }) => id));
  const used = await database.query<{ key: string }>(SEALED_WITH);
  const missing = used.map(({ key }) => key).filter((key) => !known.has(key));
  if (missing.length > 0)
    throw new Error(
      `The database has contents sealed with ${missing.map((key) => `"${key}"`).join(', ')}, which is not among the configured encryption keys: add it, because they cannot be read without it`,
    );
}

interface ResealSettings {
  readonly keyId: string;
  readonly rowsPerSecond: number;
  readonly onError: (error: unknown) => void;
}

/** Seals the rows after a cursor; undefined at the end. */
type Step = (database: VaultDatabase, keyId: string, cursor: string) => Promise<string | undefined>;

interface ContentRow {
  readonly memory_id: string;
  readonly session_id: string;
  readonly content: string;
  readonly version: number;
  readonly old_key: string | null;
}

interface SummaryRow {
  readonly session_id: string;
  readonly summary: string;
  readonly updated_at: string;
}

const ROWS_AT_A_TIME = 50;

const NEXT_CONTENTS = `
select m.memory_id, m.session_id, ${CONTENT} as content, m.version, m.content_key as old_key from memory_entries m
where m.memory_id > $1 and m.content_key is distinct from $2 order by m.memory_id limit ${ROWS_AT_A_TIME}`;

// A row that was changed in the meantime is already sealed with the newest key.
const REPLACE_CONTENTS = `
update memory_entries m set content = i.content, content_text = null, content_key = i.content_key
from json_to_recordset($1::json) as i (memory_id text, session_id text, content jsonb, content_key text, version int, old_key text)
where m.memory_id = i.memory_id and m.session_id = i.session_id and m.version = i.version
  and m.content_key is not distinct from i.old_key`;

const NEXT_SUMMARIES = `
select s.session_id, ${SUMMARY}, s.updated_at::text as updated_at from sessions s
where s.session_id > $1 and s.summary is not null and s.summary_key is distinct from $2 order by s.session_id limit ${ROWS_AT_A_TIME}`;

const REPLACE_SUMMARIES = `
update sessions s set summary = i.text, summary_key = i.key
from json_to_recordset($1::json) as i (session_id text, text text, key text, updated_at timestamptz)
where s.session_id = i.session_id and s.updated_at = i.updated_at and s.summary is not null`;

interface AnswerRow {
  readonly key: string;
  readonly generation: number;
  readonly sequence: number;
  readonly answer: string;
}

const NEXT_ANSWERS = `
select key, generation, sequence, answer from memory_lanes
where key > $1 and answer is not null and not starts_with(answer, '${SEALED}' || $2 || ':') order by key limit ${ROWS_AT_A_TIME}`;

const REPLACE_ANSWERS = `
update memory_lanes l set answer = i.text
from json_to_recordset($1::json) as i (key text, generation bigint, sequence bigint, text text)
where l.key = i.key and l.generation = i.generation and l.sequence = i.sequence and l.answer is not null`;

/**
 * Processes all memories, sessions and lanes once, and seals clear contents, and contents of older keys, with the newest key. Afterwards older keys
 * can be removed. PostgreSQL's dead rows, logs and backups still contain the old data.
 */
function createReseal(database: VaultDatabase, settings: ResealSettings): Part {
  const { keyId, rowsPerSecond, onError } = settings;
  const stopping = new AbortController();
  let running: Promise<void> = Promise.resolve();

  async function resealAll(step: Step): Promise<void> {
    let cursor: string | undefined = '';
    while (cursor !== undefined && !stopping.signal.aborted) {
      cursor = await step(database, keyId, cursor);
      const pauseMs = (ROWS_AT_A_TIME / rowsPerSecond) * 1_000;
      await sleep(pauseMs, undefined, { signal: stopping.signal, ref: false }).catch(() => undefined);
    }
  }

  return {
    async start() {
      running = resealAll(resealContents)
        .then(() => resealAll(resealSummaries))
        .then(() => resealAll(resealAnswers))
        .catch(onError);
    },
    async stop() {
      stopping.abort();
      await running;
    },
  };
}

const resealContents: Step = async (database, keyId, cursor) => {
  const rows = await database.query<ContentRow>(NEXT_CONTENTS, [cursor, keyId]);
  const sealed = rows.map((row) => ({ ...row, ...database.vault.seal(row, row.content) }));
  if (rows.length > 0) await database.query(REPLACE_CONTENTS, [encodeJson(sealed)]);
  return rows.at(-1)?.memory_id;
};

const resealSummaries: Step = async (database, keyId, cursor) => {
  const rows = await database.query<SummaryRow>(NEXT_SUMMARIES, [cursor, keyId]);
  const sealed = rows.map(({ summary, ...row }) => ({
    ...row,
    ...database.vault.sealText(summaryPlace(row.session_id), summary),
  }));
  if (rows.length > 0) await database.query(REPLACE_SUMMARIES, [encodeJson(sealed)]);
  return rows.at(-1)?.session_id;
};

const resealAnswers: Step = async (database, keyId, cursor) => {
  const rows = await database.query<AnswerRow>(NEXT_ANSWERS, [cursor, keyId]);
  const sealed = rows.map(({ key, generation, sequence, answer }) => {
    const { text } = database.vault.sealText(answerPlace(key), answer);
    return { key, generation, sequence, text };
  });
  if (rows.length > 0) await database.query(REPLACE_ANSWERS, [encodeJson(sealed)]);
  return rows.at(-1)?.key;
};
