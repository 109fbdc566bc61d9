import { createHmac } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import { canonicalJson } from '../../domain/canonical-json.ts';
import { rawMembers } from '../../domain/json.ts';
import type { EncryptionKey } from './keys.ts';
import type { Place } from './sealed-content.ts';

/*
 * What the database can search without being able to read. Every word stands as a keyed pseudonym in its place of the text, so that
 * words, phrases and "not" work as on clear text; every pair of the metadata as a mark. Whoever has the database but not the key
 * sees how often pseudonyms occur and which rows share them, which tells something about common words, and no more.
 */

const WORD = String.raw`[\p{L}\p{N}\p{M}_]+`;
const WORDS = new RegExp(WORD, 'gu');
// A quote, a minus in front of a word or a phrase, a word; what is left over separates words.
const QUERY_PART = new RegExp(String.raw`"|(?<=^|\s)-(?=[\p{L}\p{N}"])|${WORD}`, 'gu');
// As in clear: a tsvector holds at most 1 MiB. Its column takes as many characters of pseudonyms.
const INDEXED_CHARACTERS = 100_000;
const KEPT_WORDS = 50_000;

const LETTERS = 26;
const LETTER_A = 97;
// Eight characters, 2^41 pseudonyms: two of a million words share one with a chance of one in four.
const DIGITS = 7;
const RADIX = 36;

export interface BlindIndex {
  /** Pseudonyms of the words, in their order. */
  words(text: string): string;
  /** A search in websearch syntax, with pseudonyms for its words. */
  query(text: string): string;
  /** One mark for each member of an object's JSON text. */
  marks(metadata: string): string[];
  /** The same for contents that are equal as JSON, in the same row only. */
  equality(place: Place, content: string): string;
}

export function createBlindIndex(key: EncryptionKey): BlindIndex {
  // Text has few different words, and an HMAC takes 3 µs.
  const known = new LRUCache<string, string>({ max: KEPT_WORDS });

  function pseudonym(word: string): string {
    const normal = word.normalize('NFKC').toLowerCase();
    let name = known.get(normal);
    if (name === undefined) {
      const digest = createHmac('sha256', key.words).update(`word\n${normal}`).digest();
      const digits = digest.readUIntBE(1, 6) % RADIX ** DIGITS;
      const letter = String.fromCharCode(LETTER_A + ((digest[0] ?? 0) % LETTERS));
      name = letter + digits.toString(RADIX).padStart(DIGITS, '0');
      known.set(normal, name);
    }
    return name;
  }

  return {
    words: (text) => (text.slice(0, INDEXED_CHARACTERS).match(WORDS) ?? []).map(pseudonym).join(' '),
    query: (text) => blindQuery(text, pseudonym),
    marks: (metadata) =>
      Object.entries(rawMembers(metadata)).map(([name, value]) =>
        createHmac('sha256', key.words)
          .update(`metadata\n${JSON.stringify(name)}:${canonicalJson(value)}`)
          .digest('base64url'),
      ),
    equality: (place, content) =>
      createHmac('sha256', key.equality)
        .update(`${JSON.stringify([place.memory_id, place.session_id])}\n${canonicalJson(content)}`)
        .digest('base64url'),
  };
}

function blindQuery(text: string, pseudonym: (word: string) => string): string {
  let isQuoted = false;
  const parts = (text.match(QUERY_PART) ?? []).map((part) => {
    if (part === '-') return part;
    if (part === '"') {
      isQuoted = !isQuoted;
      return isQuoted ? part : `${part} `;
    }
    const isOperator = !isQuoted && part.toLowerCase() === 'or';
    return `${isOperator ? part : pseudonym(part)} `;
  });
  return parts.join('');
}
