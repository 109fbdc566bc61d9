import { createHash, createPrivateKey, createPublicKey, type KeyObject, sign, verify } from 'node:crypto';
import { Type } from 'typebox';
import { Value } from 'typebox/value';
import type { Of } from '../api/endpoint.ts';
import { SCRATCH_INSTANCES } from '../../engine/ports/service-writes-ports.ts';
import { Count, oneOf, Time } from '../api/schemas.ts';

const closed = { additionalProperties: false };
const Sha256 = Type.String({ pattern: '^[0-9a-f]{64}$' });
const Words = Type.String({ minLength: 1 });

const CertifiedLane = Type.Object(
  {
    lane: Words,
    /** The last sequence at which legacy and the orchestrator were found equal. */
    sequence: Count,
    items: Count,
    /** Digest of the items that both sides showed, as stored with the lane's comparison. Null for a lane that was given up. */
    digest: Type.Union([Words, Type.Null()]),
    equal_at: Type.Union([Time, Type.Null()]),
    /** A person gave the lane up: it never moved, and its writes were refused since. */
    given_up: Type.Boolean(),
  },
  closed,
);

/** The last state of a lane in which legacy and the orchestrator were found equal. */
export type CertifiedLane = Of<typeof CertifiedLane>;

const Decision = Type.Object({ subject: Words, person: Words, reason: Words, at: Time }, closed);

const Statement = Type.Object(
  {
    format: Type.Literal('crossfade-certificate-1'),
    service: Words,
    completed_at: Time,
    completed_by: Type.Object({ person: Words, reason: Words }, closed),
    /** Two persons, and the digest of the facts that they approved. */
    approvals: Type.Array(Type.Object({ person: Words, at: Time, facts: Sha256 }, closed)),
    versions: Type.Object({ crossfade: Words, definition: Words, orchestrator: Words }, closed),
    /** The time in which legacy took no write. */
    read_only: Type.Object(
      { since: Time, clock_began_at: Time, required_seconds: Count, clock_restarts: Count },
      closed,
    ),
    root: Type.Object(
      { method: Type.Literal('sha256-of-sorted-lanes'), digest: Sha256, lanes: Count, items: Count },
      closed,
    ),
    lanes: Type.Array(CertifiedLane),
    /** Items that legacy has forgotten by itself. They are on the orchestrator and count in no difference. */
    forgotten: Type.Object({ items: Count, lanes: Count }, closed),
    backup: Type.Object(
      {
        folder: Words,
        made_at: Time,
        manifest_sha256: Sha256,
        lanes: Count,
        items: Count,
        restored_at: Time,
        /** Whether every lane was also read from an instance of the service on the restored file. */
        scratch_instance: oneOf(SCRATCH_INSTANCES),
      },
      closed,
    ),
    /** What a person answered for by name. */
    accepted: Type.Array(Decision),
    /** Requests that the orchestrator cannot answer, and what agents get since. */
    answers_without_legacy: Type.Array(Decision),
    no_longer_possible: Type.Array(Words),
  },
  closed,
);

/** What a certificate says. It holds names and digests, never an agent's memory. */
export type Statement = Of<typeof Statement>;

const Certificate = Type.Object(
  {
    statement: Statement,
    signature: Type.Object(
      {
        algorithm: Type.Literal('Ed25519'),
        /** The signer's public key: SPKI, base64. */
        public_key: Words,
        /** Over the canonical JSON (RFC 8785) of the statement, base64. */
        value: Words,
      },
      closed,
    ),
  },
  closed,
);

export type Certificate = Of<typeof Certificate>;

/**
 * One text for a value, as RFC 8785 defines it: members sorted by UTF-16 code units, no spaces, numbers as JavaScript writes them.
 * Only for plain JSON values without `undefined`.
 */
export function canonicalText(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalText).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const members = Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1));
  return `{${members.map(([name, member]) => `${JSON.stringify(name)}:${canonicalText(member)}`).join(',')}}`;
}

/** One digest over all lanes: SHA-256 over their canonical texts, one a line, in the order of the lanes' names. */
export function rootOf(lanes: readonly CertifiedLane[]): Statement['root'] {
  const hash = createHash('sha256');
  const sorted = lanes.toSorted((a, b) => (a.lane < b.lane ? -1 : 1));
  for (const lane of sorted) hash.update(`${canonicalText(lane)}\n`);
  return {
    method: 'sha256-of-sorted-lanes',
    digest: hash.digest('hex'),
    lanes: lanes.length,
    items: lanes.reduce((sum, { items }) => sum + items, 0),
  };
}

/** @throws Error if the text is not an Ed25519 private key as PEM */
export function checkPrivateKey(privateKey: string): void {
  ed25519(() => createPrivateKey(privateKey), 'private');
}

/** @param privateKey an Ed25519 key as PEM. @throws Error if it is none */
export function signCertificate(statement: Statement, privateKey: string): Certificate {
  const key = ed25519(() => createPrivateKey(privateKey), 'private');
  const value = sign(null, Buffer.from(canonicalText(statement)), key).toString('base64');
  return {
    statement,
    signature: { algorithm: 'Ed25519', public_key: spkiOf(createPublicKey(key)), value },
  };
}

/** @throws Error if the text is not a certificate of this format */
export function parseCertificate(text: string): Certificate {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new Error('it is not JSON');
  }
  if (Value.Check(Certificate, value)) return value;
  const [first] = Value.Errors(Certificate, value);
  throw new Error(`it is not a certificate: ${first?.instancePath ?? '/'} ${first?.message ?? ''}`);
}

/** What was found wrong with a certificate. */
type Fault =
  /** The statement is not the one that was signed. */
  | 'changed'
  /** It was signed with another key than the given one. */
  | 'other_key'
  /** The root does not match the listed lanes. Crossfade writes no such certificate. */
  | 'wrong_root';

/**
 * Without a key this only shows that the file is unchanged since it was signed with the key that it holds.
 * @param publicKey of the expected signer, as PEM
 * @throws Error if the key is not an Ed25519 public key
 */
export function faultsOf(
  { statement, signature }: Certificate,
  publicKey: string | undefined,
): readonly Fault[] {
  const expected = publicKey === undefined ? undefined : ed25519(() => createPublicKey(publicKey), 'public');
  const isOther = expected !== undefined && spkiOf(expected) !== signature.public_key;
  const isRoot = canonicalText(rootOf(statement.lanes)) === canonicalText(statement.root);
  return [
    ...(isSigned({ statement, signature }) ? [] : ['changed' as const]),
    ...(isOther ? ['other_key' as const] : []),
    ...(isRoot ? [] : ['wrong_root' as const]),
  ];
}

function isSigned({ statement, signature }: Certificate): boolean {
  try {
    const der = Buffer.from(signature.public_key, 'base64');
    const key = createPublicKey({ key: der, format: 'der', type: 'spki' });
    const value = Buffer.from(signature.value, 'base64');
    return verify(null, Buffer.from(canonicalText(statement)), key, value);
  } catch {
    return false;
  }
}

/** The first half of the SHA-256 of a public key (SPKI, base64), by which people compare keys. */
export function fingerprintOf(publicKey: string): string {
  return createHash('sha256').update(Buffer.from(publicKey, 'base64')).digest('hex').slice(0, 32);
}

function spkiOf(key: KeyObject): string {
  return key.export({ format: 'der', type: 'spki' }).toString('base64');
}

function ed25519(read: () => KeyObject, kind: 'private' | 'public'): KeyObject {
  let key: KeyObject | undefined;
  try {
    key = read();
  } catch {
    // The library's message may quote the key.
  }
  if (key?.asymmetricKeyType === 'ed25519') return key;
  throw new Error(
    `not an Ed25519 ${kind} key in PEM form: create a pair with crossfade certificate key create`,
  );
}
