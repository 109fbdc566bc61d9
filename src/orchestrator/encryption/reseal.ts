import { setTimeout as sleep } from 'node:timers/promises';
import { encodeJson } from '../../domain/json.ts';
import type { Part } from '../part.ts';
import { CONTENT, SUMMARY, summaryPlace } from './sealed-content.ts';
import type { VaultDatabase } from './vault-session.ts';

export interface ResealSettings {
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

/**
 * Processes all memories and sessions once, and seals clear contents, and contents of older keys, with the newest key. Afterwards older keys
 * can be removed. PostgreSQL's dead rows, logs and backups still contain the old data.
 */
export function createReseal(database: VaultDatabase, settings: ResealSettings): Part {
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
