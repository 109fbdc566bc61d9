import { createHash } from 'node:crypto';

declare const brand: unique symbol;
type Id<Name extends string> = string & { readonly [brand]: Name };

/** A legacy service that agents know, such as `session-memory`. */
export type ServiceName = Id<'ServiceName'>;
/** The owner of memories within a service: a session or a user. */
export type Owner = Id<'Owner'>;
/** (service, owner) as one printable key: `session-memory/s-1`. It identifies the ordering domain. */
export type LaneKey = Id<'LaneKey'>;
/** One classified agent request. A UUID. */
export type OperationId = Id<'OperationId'>;
/** One running proxy process. A UUID. */
export type ReplicaId = Id<'ReplicaId'>;
/** An item of the orchestrator. */
export type MemoryId = Id<'MemoryId'>;
/** A session of the orchestrator. */
export type SessionId = Id<'SessionId'>;

export const serviceName = (value: string): ServiceName => value as ServiceName;
export const operationId = (value: string): OperationId => value as OperationId;
export const replicaId = (value: string): ReplicaId => value as ReplicaId;

/** Longest owner that a lane can have, in characters. Requests of longer owners pass through unmapped, and writes are counted. */
const OWNER_LIMIT = 512;

/** Maximum length of a lane key: the name of a service (63), a slash, an owner. */
export const LANE_KEY_LIMIT = 63 + 1 + OWNER_LIMIT;

/** The same within a URL, where one character takes up to nine. */
export const OWNER_IN_URL_LIMIT = OWNER_LIMIT * 9;

/** PostgreSQL stores no NUL, and lane keys appear in logs and URLs, so control characters are not allowed. */
const UNPRINTABLE = /\p{Cc}/u;

/** The owner, or undefined if it is not valid (empty, too long, control characters). */
export function parseOwner(value: unknown): Owner | undefined {
  if (typeof value !== 'string' || value === '' || value.length > OWNER_LIMIT) return undefined;
  return UNPRINTABLE.test(value) || !value.isWellFormed() ? undefined : (value as Owner);
}

export function laneKeyOf(service: ServiceName, owner: Owner): LaneKey {
  return `${service}/${owner}` as LaneKey;
}

/** Splits a key of {@link laneKeyOf}. A service name contains no slash, an owner may. */
export function parseLaneKey(key: LaneKey): { service: ServiceName; owner: Owner } {
  const slash = key.indexOf('/');
  return { service: key.slice(0, slash) as ServiceName, owner: key.slice(slash + 1) as Owner };
}

/** The owner under which Crossfade itself writes to a service, to prove that writes reach it. It has no lane. */
export const CANARY_OWNER = 'crossfade-canary' as Owner;

const ORCHESTRATOR_ID_LIMIT = 64;

function shortened(prefix: string, value: string): string {
  return `${prefix}~${createHash('sha256').update(value).digest('hex').slice(0, 40)}`;
}

/**
 * The orchestrator's session of an owner. With an empty prefix it is the owner's own id, so that agents that move to the
 * orchestrator find their sessions. Ids over 64 characters, and ids that could belong to another service, are shortened.
 */
export function sessionIdOf(prefix: string, owner: Owner): SessionId {
  const plain = prefix === '' ? owner : `${prefix}:${owner}`;
  const isAmbiguous = prefix === '' && /^[a-z-]+[:~]/.test(owner);
  return (
    plain.length > ORCHESTRATOR_ID_LIMIT || isAmbiguous ? shortened(prefix || 'session', owner) : plain
  ) as SessionId;
}

/** The id of the item that a journaled write creates. The same for every delivery by every replica. */
export function memoryIdOf(operation: OperationId, index = 0): MemoryId {
  return `mem-${operation}${index === 0 ? '' : `-${index}`}` as MemoryId;
}
