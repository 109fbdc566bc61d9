import { createHash, timingSafeEqual } from 'node:crypto';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';

/** Each may do what those before it may. `approver`: what gives data up, or lets reads go where a check said no. */
export const OPERATOR_ROLES = ['viewer', 'operator', 'approver'] as const;

export type OperatorRole = (typeof OPERATOR_ROLES)[number];

/** A bearer token, and whom it stands for. */
export interface OperatorToken {
  readonly name: string;
  readonly role: OperatorRole;
  readonly token: string;
}

/** `open`: anybody may ask. `own`: the route has a token of its own. */
type Asked = OperatorRole | 'open' | 'own';

/** What differs from: whoever looks is a viewer, whoever changes something an operator. */
const ASKED: Readonly<Record<string, Asked>> = {
  'GET /health/live': 'open',
  'GET /health/ready': 'open',
  'POST /v1/guard/signal': 'own',
  'POST /v1/guard/release': 'approver',
  'POST /v1/guard/accept': 'approver',
  'POST /v1/dead-letters/:operation/skip': 'approver',
  'POST /v1/lost': 'approver',
  'POST /v1/rules': 'approver',
  'POST /v1/rules/try': 'viewer',
  'POST /v1/runs/:run/repair': 'approver',
  'POST /v1/runs/:run/undo': 'approver',
  'POST /v1/services/:service/lanes/accept': 'approver',
  'POST /v1/unknown-outcomes/:operation/assume': 'approver',
};

/** What a request says that it was sent to, where that is this machine. */
export const LOOPBACK_HOST = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d+)?$/i;

interface KnownToken {
  readonly name: string;
  readonly role: OperatorRole;
  readonly digest: Buffer;
}

/** Finds whom a token stands for. */
export class TokenBook {
  readonly #tokens: readonly KnownToken[];

  constructor(tokens: readonly OperatorToken[]) {
    this.#tokens = tokens.map(({ name, role, token }) => ({ name, role, digest: digestOf(token) }));
  }

  get isEmpty(): boolean {
    return this.#tokens.length === 0;
  }

  /** Looks at every token, so that the time says nothing. */
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
 * Lets in who may ask, and says to the routes who asks. Without tokens nobody is known by name: then the port listens on loopback only,
 * and what came there through a page in somebody's browser is refused by its host.
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
      return refuse(reply, 403, 'without operator.tokens the operator is served on this machine only');
    }
    if (asked === 'own') return undefined;
    const caller = this.#callerOf(request.headers.authorization);
    if (caller === undefined)
      return refuse(reply, 401, 'this needs a token of operator.tokens: Authorization: Bearer …');
    this.#callers.set(request, caller);
    if (mayAs(caller.role, asked)) return undefined;
    return refuse(
      reply,
      403,
      `this needs the role "${asked}", the token "${caller.name}" has "${caller.role}"`,
    );
  }

  /** Whoever holds a token is known: a name that is given beside it is told with it. */
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

function askedOf({ method, routeOptions }: FastifyRequest): Asked {
  const isLook = method === 'GET' || method === 'HEAD';
  const name = `${isLook ? 'GET' : method} ${routeOptions.url ?? ''}`;
  return ASKED[name] ?? (isLook ? 'viewer' : 'operator');
}

function refuse(reply: FastifyReply, status: 401 | 403, message: string): FastifyReply {
  if (status === 401) reply.header('www-authenticate', 'Bearer');
  return reply.code(status).send({ error: 'permission_denied', message });
}

function digestOf(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
