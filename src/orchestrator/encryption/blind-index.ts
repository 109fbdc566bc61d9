import { createHmac } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import { canonicalJson, rawMembers } from '../../domain/json.ts';
import type { EncryptionKey } from './keys.ts';
import type { Place } from './sealed-content.ts';

/*
 * An index that the database can search without the key. A keyed pseudonym replaces every word at its place in the text, so words, phrases
 * and "not" work as on clear text. A mark replaces every pair of the metadata. An attacker with the database but without the key sees how
 * often pseudonyms occur and which rows share them. That reveals something about common words, but no more.
 */

const WORD = String.raw`[\p{L}\p{N}\p{M}_]+`;
const WORDS = new RegExp(WORD, 'gu');
// A quote, a minus before a word or phrase, or a word; all other characters separate words.
const QUERY_PART = new RegExp(String.raw`"|(?<=^|\s)-(?=[\p{L}\p{N}"])|${WORD}`, 'gu');
// Same limit as for clear text, because a tsvector has at most 1 MiB.
const INDEXED_CHARACTERS = 100_000;
const KEPT_WORDS = 50_000;

const LETTERS = 26;
const LETTER_A = 97;
// Eight characters give 2^41 pseudonyms. The chance that two of a million words share one is one in four.
const DIGITS = 7;
const RADIX = 36;

export interface BlindIndex {
  /** Pseudonyms of the words, in order. */
  words(text: string): string;
  /** A search in websearch syntax, with pseudonyms instead of words. */
  query(text: string): string;
  /** One mark for each member of an object's JSON text. */
  marks(metadata: string): string[];
  /** A digest that is the same for contents that are equal as JSON, within one row. */
  equality(place: Place, content: string): string;
}

export function createBlindIndex(key: EncryptionKey): BlindIndex {
  // Texts repeat words, and an HMAC takes 3 µs.
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
