import { randomUUID } from 'node:crypto';
import { ValidationError } from '../../domain/errors.ts';
import type { Vault } from '../encryption/vault.ts';
import { LIMITS } from '../wire/limits.ts';
import { refusedAt } from './refused-operation.ts';
import type { Request } from '../wire/request.ts';
import { parseOptionalTime, refuseTtlBeyondYears } from '../wire/times.ts';
import { storableJson, type StoredJson } from '../wire/unstorable-text.ts';

/** The memories to create, as rows of the statement's first parameter. */
export const INPUT = `select * from json_to_recordset($1::json) as input (
    index int, memory_id text, session_id text, memory_type text, content jsonb, content_text text, content_key text, content_hashes text[], escaped boolean, tags text[], priority int,
    position bigint, lane_key text, created_at timestamptz, updated_at timestamptz, expires_at timestamptz, ttl float8,
    create_session boolean, user_id text)`;

/** A memory in the form of its row. */
export type CreateInput = ReturnType<typeof inputOf>;

/** @throws RefusedOperation with the index of the request */
export function inputsOf(requests: readonly Request<'create'>[], vault: Vault): CreateInput[] {
  return requests.map((request, index) => {
    try {
      return inputOf(request, index, vault);
    } catch (error) {
      throw refusedAt(index, error);
    }
  });
}

function inputOf(request: Request<'create'>, index: number, vault: Vault) {
  const { payload, lane, sessionId } = request;
  const { json, escaped } = contentOf(request);
  const createdAt = parseOptionalTime(payload.created_at, 'created_at');
  refuseTtlBeyondYears(createdAt, payload.ttl);
  const place = { memory_id: payload.memory_id ?? `mem-${randomUUID()}`, session_id: sessionId };
  return {
    index,
    ...place,
    ...vault.seal(place, json.text),
    memory_type: payload.memory_type,
    escaped,
    // Duplicate tags are removed, as in the table of the schema document.
    tags: payload.tags && [...new Set(payload.tags)],
    priority: payload.priority,
    position: payload.position,
    lane_key: lane?.key,
    created_at: createdAt,
    updated_at: parseOptionalTime(payload.updated_at, 'updated_at'),
    expires_at: parseOptionalTime(payload.expires_at, 'expires_at'),
    ttl: payload.ttl,
    create_session: payload.create_session ?? false,
    user_id: payload.user_id,
  };
}

/** The content of a memory in its stored form. @throws ValidationError */
export function contentOf(request: Request<'create'> | Request<'update'>): StoredJson {
  const { payload, raw, suspicious } = request;
  const text = raw['content'] ?? '{}';
  if (Buffer.byteLength(text) > LIMITS.contentBytes)
    throw new ValidationError(`content must not have more than ${LIMITS.contentBytes} bytes`, {
      details: { field: 'content', limit: LIMITS.contentBytes },
    });
  const { source_agent: sourceAgent } = payload.content as { source_agent?: unknown };
  if (typeof sourceAgent === 'string' && sourceAgent.length > LIMITS.idLength)
    throw new ValidationError(`content.source_agent must not have more than ${LIMITS.idLength} characters`, {
      details: { field: 'content.source_agent', limit: LIMITS.idLength },
    });
  return storableJson({ text, suspicious }, 'content', payload.escape_unstorable === true);
}
