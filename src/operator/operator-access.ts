import { createHash, timingSafeEqual } from 'node:crypto';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { type Endpoint, OPERATOR_ROLES, type OperatorRole } from './api/endpoint.ts';
import { ENDPOINTS } from './api/endpoints.ts';

/** A bearer token and the person or system that holds it. */
export interface OperatorToken {
  readonly name: string;
  readonly role: OperatorRole;
  readonly token: string;
}

const ALL: readonly Endpoint[] = Object.values(ENDPOINTS);

const CALLERS: ReadonlyMap<string, Endpoint['caller']> = new Map(
  ALL.map(({ method, path, caller }) => [`${method} ${path}`, caller]),
);

/** Values of the Host header that mean this machine. */
export const LOOPBACK_HOST = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d+)?$/i;

interface KnownToken {
  readonly name: string;
  readonly role: OperatorRole;
  readonly digest: Buffer;
}

/** Finds the holder of a token. */
export class TokenBook {
  readonly #tokens: readonly KnownToken[];

  constructor(tokens: readonly OperatorToken[]) {
    this.#tokens = tokens.map(({ name, role, token }) => ({ name, role, digest: digestOf(token) }));
  }

  get isEmpty(): boolean {
    return this.#tokens.length === 0;
  }

  /** Compares every token, so that the duration reveals nothing. */
  find(given: string): Omit<KnownToken, 'digest'> | undefined {
    const digest = digestOf(given);
    const [found] = this.#tokens.filter((known) => timingSafeEqual(known.digest, digest));
    return found;
  }
}

export function mayAs(role: OperatorRole, asked: OperatorRole): boolean {
  return OPERATOR_ROLES.indexOf(role) >= OPERATOR_ROLES.indexOf(asked);
}

/**
 * Checks each caller and passes its identity to the routes. Without tokens there are no names. The port then listens on
 * loopback only. Requests that a web page sent through a browser are refused by their Host header.
 */
export class OperatorAccess {
  readonly #tokens: TokenBook;
  readonly #callers = new WeakMap<FastifyRequest, Omit<KnownToken, 'digest'>>();

  constructor(tokens: readonly OperatorToken[]) {
    this.#tokens = new TokenBook(tokens);
  }

  /** For all routes that are registered in this scope. */
  guard(app: FastifyInstance): void {
    app.addHook('onRequest', async (request, reply) => this.#admit(request, reply));
    app.addHook('preValidation', async (request) => this.#attribute(request));
  }

  async #admit(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply | undefined> {
    const asked = askedOf(request);
    if (asked === 'open') return undefined;
    if (this.#tokens.isEmpty) {
      if (LOOPBACK_HOST.test(request.headers.host ?? '')) return undefined;
      return refuse(reply, 403, 'without operator.tokens the operator API serves this machine only');
    }
    if (asked === 'own') return undefined;
    const caller = this.#callerOf(request.headers.authorization);
    if (caller === undefined)
      return refuse(
        reply,
        401,
        'this request needs a token of operator.tokens: send Authorization: Bearer TOKEN',
      );
    this.#callers.set(request, caller);
    if (mayAs(caller.role, asked)) return undefined;
    return refuse(
      reply,
      403,
      `this request needs the role "${asked}"; the token "${caller.name}" has the role "${caller.role}"`,
    );
  }

  /** The caller is known by its token. A name that the request gives is added. */
  #attribute(request: FastifyRequest): void {
    const caller = this.#callers.get(request);
    const { body } = request;
    if (caller === undefined || typeof body !== 'object' || body === null) return;
    const given: unknown = Reflect.get(body, 'person');
    const isAnother = typeof given === 'string' && given.trim() !== '' && given.trim() !== caller.name;
    Reflect.set(body, 'person', isAnother ? `${given.trim()} (token ${caller.name})` : caller.name);
  }

  #callerOf(header: string | undefined): Omit<KnownToken, 'digest'> | undefined {
    const given = /^Bearer (?<token>\S+)$/i.exec(header ?? '')?.groups?.['token'];
    return given === undefined ? undefined : this.#tokens.find(given);
  }
}

/** Any other path reads as a viewer and changes as an operator. */
function askedOf({ method, routeOptions }: FastifyRequest): Endpoint['caller'] {
  const isLook = method === 'GET' || method === 'HEAD';
  const name = `${isLook ? 'GET' : method} ${routeOptions.url ?? ''}`;
  return CALLERS.get(name) ?? (isLook ? 'viewer' : 'operator');
}

function refuse(reply: FastifyReply, status: 401 | 403, message: string): FastifyReply {
  if (status === 401) reply.header('www-authenticate', 'Bearer');
  return reply.code(status).send({ error: 'permission_denied', message });
}

function digestOf(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
