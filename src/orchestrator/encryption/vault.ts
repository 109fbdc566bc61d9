import { createHash, createHmac } from 'node:crypto';
import { encodeJson, isJsonObject, Json, parseTolerantly, rawMembers } from '../../domain/json.ts';
import { type BlindIndex, createBlindIndex } from './blind-index.ts';
import type { EncryptionKey } from './keys.ts';
import { exactTextOf } from '../wire/exact-text.ts';
import { openText, type Place, sealText } from './sealed-content.ts';

/** A content as stored in its row. */
export interface StoredContent {
  readonly content: Json;
  /** The text of a clear content that jsonb would not return unchanged. */
  readonly content_text: string | null;
  /** Null: stored unencrypted. */
  readonly content_key: string | null;
  /** A stored row with any of these hashes has the same content. */
  readonly content_hashes: readonly string[];
}

/** A text as stored in its row. */
export interface StoredText {
  readonly text: string | null;
  /** Null: stored unencrypted. */
  readonly key: string | null;
}

/** A search or metadata filter for the rows of one key. */
export interface BlindQuery<T> {
  readonly keyId: string;
  readonly query: T;
}

/** Encrypts contents for the database, and decrypts them. */
export interface Vault {
  readonly isSealing: boolean;
  /** @param content JSON text that the database could store unchanged */
  seal(place: Place, content: string): StoredContent;
  /** The same for a text that is not searched, such as a session's summary. */
  sealText(place: Place, text: string | undefined): StoredText;
  /** @throws StorageError */
  open(place: Place, sealed: string): string;
  /** A keyword search over sealed rows, one query per key. */
  queries(search: string): readonly BlindQuery<string>[];
  /** A metadata filter over sealed rows; all marks must be present. */
  marks(metadata: string): readonly BlindQuery<readonly string[]>[];
  /** A short hash to recognise equal texts. It is keyed if contents are sealed, so that texts cannot be guessed from it. */
  fingerprint(text: string): Buffer;
}

/** Stores contents unencrypted. It cannot decrypt contents that were sealed under an earlier configuration. */
export const CLEAR: Vault = {
  isSealing: false,
  seal: (_place, content) => ({
    content: new Json(content),
    content_text: exactTextOf(content) ?? null,
    content_key: null,
    content_hashes: [],
  }),
  sealText: (_place, text) => ({ text: text ?? null, key: null }),
  open: (place, sealed) => openText(new Map(), place, sealed),
  queries: () => [],
  marks: () => [],
  fingerprint: (text) => createHash('sha256').update(text).digest(),
};

interface Indexed {
  readonly id: string;
  readonly index: BlindIndex;
}

/** The first key encrypts; all keys decrypt and search. */
export function createVault(keys: readonly EncryptionKey[]): Vault {
  const [newest] = keys;
  if (newest === undefined) return CLEAR;
  const byId = new Map(keys.map((key) => [key.id, key]));
  const indexes: readonly Indexed[] = keys.map((key) => ({ id: key.id, index: createBlindIndex(key) }));
  const perKey = <T>(queryOf: (index: BlindIndex) => T): BlindQuery<T>[] =>
    indexes.map(({ id, index }) => ({ keyId: id, query: queryOf(index) }));

  return {
    isSealing: true,
    seal(place, content) {
      const hashes = indexes.map(({ index }) => index.equality(place, content));
      const [hash = ''] = hashes;
      const searchable = indexes[0] === undefined ? {} : searchableOf(content, indexes[0].index);
      const row = { $sealed: sealText(newest, place, content), $hash: hash, ...searchable };
      return {
        content: new Json(encodeJson(row)),
        content_text: null,
        content_key: newest.id,
        content_hashes: hashes,
      };
    },
    sealText: (place, text) =>
      text === undefined
        ? { text: null, key: null }
        : { text: sealText(newest, place, text), key: newest.id },
    open: (place, sealed) => openText(byId, place, sealed),
    queries: (search) => perKey((index) => index.query(search)),
    marks: (metadata) => perKey((index) => index.marks(metadata)),
    fingerprint: (text) => createHmac('sha256', newest.equality).update(`text\n${text}`).digest(),
  };
}

/** The searchable form of a content. The agent's name stays unencrypted, like tags and types. */
function searchableOf(content: string, index: BlindIndex): object {
  const parsed = parseTolerantly(content);
  if (!isJsonObject(parsed)) return {};
  const { text, source_agent: agent, metadata } = parsed;
  const rawMetadata = isJsonObject(metadata) ? rawMembers(content)['metadata'] : undefined;
  return {
    text: typeof text === 'string' ? index.words(text) : undefined,
    source_agent: typeof agent === 'string' ? agent : undefined,
    $metadata: rawMetadata === undefined ? undefined : index.marks(rawMetadata),
  };
}
