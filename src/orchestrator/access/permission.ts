import { isJsonObject } from '../../domain/json.ts';
import { operationsOf } from '../memories/batch-write.ts';
import { namedRefusal, refusedAt, RefusedOperation } from '../memories/refused-operation.ts';
import type { Request } from '../wire/request.ts';
import { AGENT_RULES, type Claims, noClaims } from './agent-rules.ts';
import type { Identity } from './identity.ts';
import { denied } from './refusals.ts';
import type { Standing } from './standing.ts';

/** A permitted request. It may create sessions, which the agent sees afterwards. */
export interface Permission {
  /** Call it with the `data` of the answer. */
  granted(data: object): Promise<void>;
}

const NOTHING_MADE: Permission = { granted: async () => undefined };

/** Checks whether the request is allowed. @throws OperationError `permission_denied` */
export async function permit(identity: Identity, request: Request, standing: Standing): Promise<Permission> {
  if (identity.role !== 'agent') return NOTHING_MADE;
  const claims = noClaims();
  const operations = claimed(request, identity, claims);
  const absent = await standing.check(identity, claims);
  if (!operations.some((operation) => mayOpen(operation, absent))) return NOTHING_MADE;
  return {
    async granted(data) {
      const opened = sessionsOpened(operations, absent, resultsOf(request, data));
      if (opened.length > 0) await standing.opened(identity, opened);
    },
  };
}

/** The operations of a request, after the checks that need no database. Adds claims for the rest. */
function claimed(request: Request, identity: Identity, claims: Claims): readonly Request[] {
  if (!isBatch(request)) {
    claimsOf(request, identity, claims);
    return [request];
  }
  try {
    const operations = operationsOf(request);
    operations.forEach((operation, index) => {
      try {
        claimsOf(operation, identity, claims);
      } catch (error) {
        throw refusedAt(index, error);
      }
    });
    return operations;
  } catch (error) {
    throw error instanceof RefusedOperation ? namedRefusal(error) : error;
  }
}

function isBatch(request: Request): request is Request<'batch_write'> {
  return request.action === 'batch_write';
}

function claimsOf(request: Request, identity: Identity, claims: Claims): void {
  if (request.lane !== undefined)
    throw denied('The fence of a lane (member lane) is not allowed for keys of the role agent', 'role', {
      field: 'lane',
    });
  // The table is keyed by the action that the request carries.
  const rule = AGENT_RULES[request.action] as Rule;
  rule(request, identity, claims);
}

type Rule = (request: Request, agent: Identity, claims: Claims) => void;

function mayOpen({ action, sessionId, payload }: Request, absent: ReadonlySet<string>): boolean {
  if (action === 'create_session') return true;
  return 'create_session' in payload && payload.create_session === true && absent.has(sessionId);
}

/** The new sessions. The id of a session that was created without one is only in the answer. */
function sessionsOpened(
  operations: readonly Request[],
  absent: ReadonlySet<string>,
  results: readonly unknown[],
): string[] {
  return operations.flatMap((operation, index) => {
    if (!mayOpen(operation, absent)) return [];
    const given = sessionIdOf(operation);
    if (given !== '') return absent.has(given) ? [given] : [];
    const result = results[index];
    const made = isJsonObject(result) ? result['session_id'] : undefined;
    return typeof made === 'string' ? [made] : [];
  });
}

function sessionIdOf({ sessionId, payload }: Request): string {
  if (sessionId !== '') return sessionId;
  return 'session_id' in payload ? (payload.session_id ?? '') : '';
}

function resultsOf(request: Request, data: object): readonly unknown[] {
  if (!isBatch(request)) return [data];
  return 'results' in data && Array.isArray(data.results) ? data.results : [];
}
