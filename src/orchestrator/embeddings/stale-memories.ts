import { textColumns, textIn, type TextRow } from '../encryption/sealed-content.ts';
import { prepared } from '../../storage/sessions/session.ts';
import type { Vault } from '../encryption/vault.ts';
import type { VaultDatabase } from '../encryption/vault-session.ts';
import { VISIBLE } from '../memories/filter.ts';
import { restoredText } from '../wire/unstorable-text.ts';
import type { Space } from '../vectors/vector-store.ts';
import { clipped } from './provider.ts';

/** A memory whose vector in one space is missing, outdated, or no longer wanted. */
export interface StaleMemory {
  readonly memoryId: string;
  readonly version: number;
  /** The embedded part of the text. */
  readonly text: string;
  /** Hexadecimal hash to recognise equal texts; keyed if contents are encrypted. */
  readonly textHash: string;
  readonly hasVector: boolean;
  /** It has a vector of the same text from an earlier version. */
  readonly isUnchanged: boolean;
  /** It is visible and has a text. */
  readonly isWanted: boolean;
}

interface StalePage {
  readonly stale: readonly StaleMemory[];
  /** The last checked memory id; undefined at the end. */
  readonly last: string | undefined;
  readonly lookedAt: number;
}

/** Finds vectors in vector_embeddings that do not match memory_entries. */
export interface StaleMemories {
  /** These memories, whatever the state of their vectors. */
  allOf(space: Space, memoryIds: readonly string[]): Promise<StaleMemory[]>;
  /** Those of these memories whose vector is stale. */
  staleOf(space: Space, memoryIds: readonly string[]): Promise<StaleMemory[]>;
  /** The same for the next `limit` memories after an id. */
  stalePage(space: Space, after: string, limit: number): Promise<StalePage>;
}

// 128 bits are enough to distinguish texts.
const HASH_BYTES = 16;

/** A hash to recognise equal texts. */
export function textHashOf(vault: Vault, text: string): Buffer {
  return vault.fingerprint(text).subarray(0, HASH_BYTES);
}

interface StaleRow extends TextRow {
  readonly memory_id: string;
  readonly version: number;
  readonly escaped: boolean;
  readonly is_visible: boolean;
  readonly embedded_hash: Uint8Array | null;
}

function staleSelect(maxCharacters: number): string {
  return `select ${textColumns(maxCharacters)}, m.version, m.escaped, ${VISIBLE} as is_visible,
      e.text_hash as embedded_hash
    from memory_entries m left join vector_embeddings e
      on e.memory_id = m.memory_id and e.embedding_model = $1 and e.dimension = $2`;
}

/** A wanted vector is missing, is of another version, or is of an invisible memory. */
const STALE = `case when e.memory_id is null then ${VISIBLE} and m.text_content ~ '[^[:space:]]'
  else e.memory_version <> m.version or not (${VISIBLE}) end`;

/** @param maxCharacters embedded characters of a text */
export function createStaleMemories(database: VaultDatabase, maxCharacters: number): StaleMemories {
  const select = staleSelect(maxCharacters);

  async function read(sql: string, params: readonly unknown[]): Promise<StaleMemory[]> {
    const rows = await database.query<StaleRow>(prepared(`${select} ${sql}`), params);
    return rows.map((row) => {
      const { memory_id: memoryId, version } = row;
      const text = clipped(restoredText(textIn(row, maxCharacters), row.escaped), maxCharacters);
      const hash = textHashOf(database.vault, text);
      return {
        memoryId,
        version,
        text,
        textHash: hash.toString('hex'),
        hasVector: row.embedded_hash !== null,
        isUnchanged: row.embedded_hash !== null && hash.equals(row.embedded_hash),
        isWanted: row.is_visible && text.trim() !== '',
      };
    });
  }

  return {
    allOf: ({ model, dimension }, memoryIds) =>
      read('where m.memory_id = any($3::text[])', [model, dimension, memoryIds]),
    staleOf: ({ model, dimension }, memoryIds) =>
      read(`where m.memory_id = any($3::text[]) and ${STALE}`, [model, dimension, memoryIds]),
    async stalePage({ model, dimension }, after, limit) {
      const [page] = await database.query<{ last: string | null; count: number }>(
        `select max(memory_id) as last, count(*) as count
         from (select memory_id from memory_entries where memory_id > $1 order by memory_id limit $2) page`,
        [after, limit],
      );
      if (page === undefined || page.last === null) return { stale: [], last: undefined, lookedAt: 0 };
      const stale = await read(
        `where m.memory_id > $3 and m.memory_id <= $4 and ${STALE} order by m.memory_id`,
        [model, dimension, after, page.last],
      );
      return { stale, last: page.last, lookedAt: page.count };
    },
  };
}
