import type { CrossfadeError } from '../../domain/errors.ts';
import type { Session } from '../../storage/database.ts';
import { isAction } from '../wire/payloads.ts';
import type { Message, Request } from '../wire/request.ts';
import type { Identity } from './identity.ts';
import { noteUses } from './key-store.ts';

/** The origin of a message. */
export interface Sender {
  readonly transport?: 'http' | 'zmq' | undefined;
  /** The network address, if the transport provides it. */
  readonly address?: string | undefined;
  /** The token of an HTTP request's `Authorization: Bearer` header. */
  readonly bearer?: string | undefined;
}

/** A message with the results of its processing so far. */
export interface Operation {
  readonly sender: Sender;
  readonly message: Message | undefined;
  readonly identity: Identity | undefined;
  readonly request: Request | undefined;
  readonly error: CrossfadeError | undefined;
  readonly latencyMs: number;
}

/** One entry of the access log: who, what, where, and the result. Never content or queries. */
export interface AccessEntry {
  readonly at: Date;
  /** The agent of the key; null if keys are off or no key was accepted. */
  readonly agentId: string | null;
  readonly keyId: string | null;
  readonly operation: string;
  readonly sessionId: string | null;
  readonly memoryId: string | null;
  /** Number of operations of a batch. */
  readonly operations: number | null;
  /** `success`, or the code of the error. */
  readonly outcome: string;
  /** The closed word that refines the code. */
  readonly reason: string | null;
  readonly latencyMs: number;
  readonly transport: string;
  readonly address: string | null;
}

export function entryOf(operation: Operation): AccessEntry {
  const { sender, identity, error, latencyMs } = operation;
  return {
    at: new Date(),
    agentId: emptyAsNull(identity?.id),
    keyId: emptyAsNull(identity?.keyId),
    ...subjectOf(operation),
    outcome: error?.code ?? 'success',
    reason: error?.reason ?? null,
    latencyMs: Math.round(latencyMs * 1_000) / 1_000,
    transport: sender.transport ?? 'zmq',
    address: sender.address ?? null,
  };
}

function emptyAsNull(text: string | undefined): string | null {
  return text === undefined || text === '' ? null : text;
}

type Subject = Pick<AccessEntry, 'operation' | 'sessionId' | 'memoryId' | 'operations'>;

// Names come only from a validated request, because others could have any length, or not be storable.
function subjectOf({ message, request }: Operation): Subject {
  const action = message?.members['action'];
  const operation = typeof action === 'string' && isAction(action) ? action : 'unknown';
  if (request === undefined) return { operation, sessionId: null, memoryId: null, operations: null };
  const { sessionId, payload } = request;
  return {
    operation,
    sessionId: sessionId || null,
    memoryId: 'memory_id' in payload ? (payload.memory_id ?? null) : null,
    operations: 'operations' in payload ? payload.operations.length : null,
  };
}

const INSERT = `
insert into memory_access_logs (timestamp, agent_id, key_id, operation, session_id, memory_id, request_data, success, outcome,
  error_message, latency_ms, transport, ip_address)
select e.at, e."agentId", e."keyId", e.operation, e."sessionId", e."memoryId",
  case when e.operations is not null then jsonb_build_object('operations', e.operations) end,
  e.outcome = 'success', e.outcome, e.reason, e."latencyMs", e.transport, e.address
from json_to_recordset($1::json) as e (at timestamptz, "agentId" text, "keyId" text, operation text, "sessionId" text,
  "memoryId" text, operations int, outcome text, reason text, "latencyMs" real, transport text, address text)`;

/** @throws StorageError */
export async function writeEntries(session: Session, entries: readonly AccessEntry[]): Promise<void> {
  await session.query(INSERT, [JSON.stringify(entries)]);
  const uses = new Map<string, Date>();
  for (const { keyId, at } of entries) if (keyId !== null) uses.set(keyId, at);
  if (uses.size > 0) await noteUses(session, uses);
}
