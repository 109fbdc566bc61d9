import { createHash } from 'node:crypto';
import { digestedText, orderedDigest, tagsText } from '../../domain/content-digest.ts';
import type { Database, Session } from '../../storage/database.ts';
import { CONTENT } from '../encryption/sealed-content.ts';
import type { Request } from '../wire/request.ts';
import { restoredJson } from '../wire/unstorable-text.ts';
import { Parameters, VISIBLE } from './filter.ts';

// A page is limited by rows, but its cost is in bytes. So the size of the last page determines the rows of the next one.
const PAGE_BYTES = 4 * 1024 * 1024;
const FIRST_ROWS = 64;
const MOST_ROWS = 2_000;
const DIGEST_BYTES = 16;
const MODULUS = 2n ** 128n;

/** The number and digest of memories. They are equal if two sides have the same memories. */
interface Digest {
  readonly count: number;
  /** 32 hexadecimal digits. */
  readonly digest: string;
}

/** Digests items one after the other. */
interface Accumulator {
  add(text: string): void;
  digest(): string;
}

/**
 * Count and digest of the memories of a session, or of each of `session_ids`. The text of a memory is the canonical JSON of the given
 * members of its content. Missing members, and members inside them that `without` lists, are omitted. With `with_tags` a blank and the JSON
 * list of the memory's tags follow, in the order of their code units. The digest is the sum modulo 2^128 of the first halves of the texts'
 * SHA-256, independent of their order. With `ordered` it is the first half of the SHA-256 over all texts, each on a line, in the order of
 * positions. It is computed from the rows of one snapshot, some megabytes at a time. An unknown session has no memories. With
 * `known_fingerprints` every session also has its fingerprint, and a session whose fingerprint is unchanged is not digested.
 */
export async function digest(database: Database, request: Request<'digest'>): Promise<object> {
  const { payload, sessionId } = request;
  const asked = new Set(payload.session_ids ?? [sessionId]);
  const results = await database.transaction(async (session) => {
    await session.script('set transaction isolation level repeatable read, read only');
    return resultsOf(session, payload, [...asked]);
  });
  if (payload.session_ids === undefined) return results.get(sessionId) ?? {};
  return { sessions: [...results].map(([id, one]) => ({ session_id: id, ...one })) };
}

async function resultsOf(
  session: Session,
  payload: Payload,
  sessions: readonly string[],
): Promise<Map<string, Partial<Digest> & Partial<Fingerprint>>> {
  const { session_ids: ids, known_fingerprints: known } = payload;
  if (ids === undefined || known === undefined) return resultsIn(await digestsOf(session, payload, sessions));
  const knownOf = new Map(ids.map((id, index) => [id, known[index]]));
  const fingerprints = await fingerprintsOf(session, sessions, payload);
  const changed = sessions.filter((id) => fingerprints.get(id)?.fingerprint !== knownOf.get(id));
  const digests = resultsIn(await digestsOf(session, payload, changed));
  return new Map(sessions.map((id) => [id, { ...fingerprints.get(id), ...digests.get(id) }]));
}

function resultsIn(digests: ReadonlyMap<string, SessionDigest>): Map<string, Digest> {
  return new Map([...digests].map(([id, one]) => [id, one.result()]));
}

/** The digest of one session. */
class SessionDigest {
  readonly #accumulator: Accumulator;
  #count = 0;

  constructor(isOrdered: boolean) {
    this.#accumulator = isOrdered ? orderedDigest() : sumOfHashes();
  }

  add(text: string): void {
    this.#accumulator.add(text);
    this.#count += 1;
  }

  result(): Digest {
    return { count: this.#count, digest: this.#accumulator.digest() };
  }
}

interface DigestRow {
  readonly memory_id: string;
  readonly session_id: string;
  readonly position: number;
  readonly content: string;
  readonly escaped: boolean;
  /** A JSON list. */
  readonly tags: string;
}

type Payload = Request<'digest'>['payload'];
/** Which memories of a session are digested. */
type Selection = Pick<Payload, 'memory_types' | 'exclude_tags' | 'without_lane'>;

/** Reads the rows of all sessions together, because one statement per session costs more than reading and hashing its rows. */
async function digestsOf(
  session: Session,
  payload: Payload,
  sessions: readonly string[],
): Promise<Map<string, SessionDigest>> {
  const digests = new Map(sessions.map((id) => [id, new SessionDigest(payload.ordered === true)]));
  if (digests.size === 0) return digests;
  let rows: DigestRow[] = [];
  let wanted = FIRST_ROWS;
  do {
    const last = rows.at(-1);
    rows = await pageOf(session, { sessions, payload, last, rows: wanted });
    for (const row of rows) digests.get(row.session_id)?.add(textOf(row, payload));
    if (rows.length < wanted) break;
    wanted = nextRows(rows);
  } while (rows.length > 0);
  return digests;
}

function textOf({ content, escaped, tags }: DigestRow, payload: Payload): string {
  const text = digestedText(restoredJson(content, escaped).text, payload);
  return payload.with_tags === true ? `${text} ${spelledTags(tags)}` : text;
}

/** A cache of parsed tags. A session's memories repeat a few lists of tags, and parsing each would cost as much as everything else. */
const SPELLED_KEPT = 1_000;
const spelled = new Map<string, string>();

function spelledTags(list: string): string {
  const known = spelled.get(list);
  if (known !== undefined) return known;
  if (spelled.size >= SPELLED_KEPT) spelled.clear();
  const text = tagsText(JSON.parse(list) as string[]);
  spelled.set(list, text);
  return text;
}

interface Page {
  readonly sessions: readonly string[];
  readonly payload: Selection;
  readonly last: DigestRow | undefined;
  readonly rows: number;
}

function pageOf(session: Session, { sessions, payload, last, rows }: Page): Promise<DigestRow[]> {
  const parameters = new Parameters();
  const conditions = digestedRows(parameters, sessions, payload);
  if (last !== undefined)
    conditions.push(
      `(m.session_id, m.position, m.memory_id) >
        (${parameters.bind(last.session_id)}::text, ${parameters.bind(last.position)}::bigint, ${parameters.bind(last.memory_id)}::text)`,
    );
  return session.query<DigestRow>(
    `select m.memory_id, m.session_id, m.position, ${CONTENT} as content, m.escaped, to_json(m.tags)::text as tags from memory_entries m
     where ${conditions.join(' and ')} order by m.session_id, m.position, m.memory_id limit ${parameters.bind(rows)}`,
    parameters.values,
  );
}

function nextRows(rows: readonly DigestRow[]): number {
  const characters = rows.reduce((sum, { content }) => sum + content.length, 0);
  const rowsForThat = Math.floor(PAGE_BYTES / Math.max(1, characters / rows.length));
  return Math.min(MOST_ROWS, Math.max(1, rowsForThat));
}

function sumOfHashes(): Accumulator {
  let sum = 0n;
  return {
    add(text) {
      const half = createHash('sha256').update(text).digest().subarray(0, DIGEST_BYTES);
      sum = (sum + (half.readBigUInt64BE(0) << 64n) + half.readBigUInt64BE(8)) % MODULUS;
    },
    digest: () => sum.toString(16).padStart(2 * DIGEST_BYTES, '0'),
  };
}

/** A fingerprint of a session's memories in the order of positions. */
interface Fingerprint {
  readonly count: number;
  /** 32 hexadecimal digits. */
  readonly fingerprint: string;
}

interface FingerprintRow extends Fingerprint {
  readonly session_id: string;
}

const OF_NOTHING: Fingerprint = { count: 0, fingerprint: '0'.repeat(32) };

/**
 * PostgreSQL generates content_hash from the content, so every change by any program changes it. The tags, the escape mark and the original
 * spelling count as well. The hash of fixed length comes first, and a list of tags marks its own end. So two different lists of memories
 * never give the same bytes.
 */
const HASHED = `
string_agg(m.content_hash, ''::bytea order by m.position, m.memory_id)
  || convert_to(string_agg(m.tags::text || case when m.escaped then '!' else '' end
       || case when m.content_text is null then '' else encode(sha256(convert_to(m.content_text, 'UTF8')), 'hex') end,
     E'\\n' order by m.position, m.memory_id), 'UTF8')`;

/**
 * Fingerprints of the memories of a digest. A fingerprint changes if and only if the memories change, whichever program changes them. It reads
 * a few bytes of every row, and none of them leaves the database.
 */
async function fingerprintsOf(
  session: Session,
  sessions: readonly string[],
  selection: Selection,
): Promise<Map<string, Fingerprint>> {
  const parameters = new Parameters();
  const conditions = digestedRows(parameters, sessions, selection);
  const rows = await session.query<FingerprintRow>(
    `select m.session_id, count(*)::int as count, encode(substr(sha256(${HASHED}), 1, 16), 'hex') as fingerprint
     from memory_entries m where ${conditions.join(' and ')} group by m.session_id`,
    parameters.values,
  );
  const held = new Map(rows.map(({ session_id: id, ...one }) => [id, one]));
  return new Map(sessions.map((id) => [id, held.get(id) ?? OF_NOTHING]));
}

/** The conditions on `memory_entries m` for the rows of a digest. */
function digestedRows(
  parameters: Parameters,
  sessions: readonly string[],
  { memory_types: types, exclude_tags: tags, without_lane: isWithoutLane }: Selection,
): string[] {
  const conditions = [`m.session_id = any(${parameters.bind(sessions)}::text[])`, VISIBLE];
  if (types !== undefined) conditions.push(`m.memory_type = any(${parameters.bind(types)}::text[])`);
  if (isWithoutLane === true) conditions.push('m.lane_key is null');
  if (tags !== undefined) conditions.push(`not m.tags && ${parameters.bind(tags)}::text[]`);
  return conditions;
}
