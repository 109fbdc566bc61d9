import { hash, randomBytes, timingSafeEqual } from 'node:crypto';
import type { Session } from '../../storage/database.ts';
import type { Role } from './identity.ts';

/** A stored key, without its digest. */
export interface KeyRow {
  readonly key_id: string;
  readonly agent: string;
  readonly role: Role;
  readonly users: readonly string[];
  readonly requests_per_second: number | null;
  readonly created_at: Date;
  readonly expires_at: Date | null;
  readonly revoked_at: Date | null;
  /** Accurate to about a second, because it is written with the access log. */
  readonly last_used_at: Date | null;
}

export interface StoredKey extends KeyRow {
  readonly digest: Buffer;
}

export interface KeyGrant {
  readonly agent: string;
  readonly role: Role;
  readonly users: readonly string[];
  readonly requestsPerSecond?: number | undefined;
  readonly expiresAt?: Date | undefined;
}

const COLUMNS = `key_id, agent, role, users, requests_per_second, created_at, expires_at, revoked_at, last_used_at`;

/** Creates a key and stores its digest. Only the return value contains the text of the key. */
export async function grantKey(session: Session, grant: KeyGrant): Promise<NewKey> {
  const key = createKey();
  await session.query(
    `insert into access_keys (key_id, digest, agent, role, users, requests_per_second, expires_at)
     values ($1, $2, $3, $4, $5::text[], $6, $7::timestamptz)`,
    [
      key.keyId,
      key.digest,
      grant.agent,
      grant.role,
      grant.users,
      grant.requestsPerSecond,
      grant.expiresAt?.toISOString(),
    ],
  );
  return key;
}

export function listKeys(session: Session): Promise<KeyRow[]> {
  return session.query<KeyRow>(`select ${COLUMNS} from access_keys order by created_at, key_id`);
}

/** Revokes a key. A second revocation keeps the first time. Undefined if the key does not exist. */
export async function revokeKey(session: Session, keyId: string): Promise<KeyRow | undefined> {
  const [row] = await session.query<KeyRow>(
    `update access_keys set revoked_at = coalesce(revoked_at, now()) where key_id = $1 returning ${COLUMNS}`,
    [keyId],
  );
  return row;
}

export async function findKey(session: Session, keyId: string): Promise<StoredKey | undefined> {
  const [row] = await session.query<StoredKey>(
    `select ${COLUMNS}, digest from access_keys where key_id = $1`,
    [keyId],
  );
  return row;
}

/** Stores the last use of keys. A later known time stays. */
export async function noteUses(session: Session, uses: ReadonlyMap<string, Date>): Promise<void> {
  await session.query(
    `update access_keys k set last_used_at = greatest(k.last_used_at, u.at)
     from unnest($1::text[], $2::timestamptz[]) as u (key_id, at) where k.key_id = u.key_id`,
    [[...uses.keys()], [...uses.values()].map((at) => at.toISOString())],
  );
}

const MARK = 'cfo';
const ID_BYTES = 6;
const SECRET_BYTES = 32;
const KEY = new RegExp(`^${MARK}_([0-9a-f]{${2 * ID_BYTES}})_[A-Za-z0-9_-]{43}$`);

/** A new key, shown once. Only its id and its digest are stored. */
interface NewKey {
  /** The public id. It finds the row, and names the key in lists and logs. */
  readonly keyId: string;
  readonly text: string;
  readonly digest: Buffer;
}

/** `cfo_<12 hex digits>_<32 random bytes in base64url>`. */
function createKey(): NewKey {
  const keyId = randomBytes(ID_BYTES).toString('hex');
  const text = `${MARK}_${keyId}_${randomBytes(SECRET_BYTES).toString('base64url')}`;
  return { keyId, text, digest: digestOf(text) };
}

/** The public id of a key, or undefined for a text that is not a key. */
export function keyIdOf(text: string): string | undefined {
  return KEY.exec(text)?.[1];
}

/** Compares in constant time. */
export function isKeyOf(text: string, digest: Buffer): boolean {
  return timingSafeEqual(digestOf(text), digest);
}

// One round of SHA-256 instead of a slow hash. Slow hashes protect passwords, but 256 random bits cannot be guessed at any speed. A
// slow hash on every request (50 ms for scrypt) would make it easy to overload the orchestrator.
function digestOf(text: string): Buffer {
  return hash('sha256', text, 'buffer');
}
