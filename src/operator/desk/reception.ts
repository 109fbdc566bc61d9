import type { FastifyReply, FastifyRequest } from 'fastify';
import type { OperatorToken } from '../operator-access.ts';
import type { Status } from '../status.ts';
import { ApiRefusal, type OperatorApi, type OperatorApiHost } from './operator-api.ts';
import type { Visit, Visitor } from './visit.ts';

interface Known {
  readonly visitor: Visitor;
  readonly api: OperatorApi;
}

/** Knows from the session who looks, and asks the API as them. */
export class Reception {
  readonly #tokens: readonly OperatorToken[];
  readonly #api: OperatorApiHost;

  constructor({ tokens, api }: { readonly tokens: readonly OperatorToken[]; readonly api: OperatorApiHost }) {
    this.#tokens = tokens;
    this.#api = api;
  }

  /** Undefined for somebody who must sign in first. */
  known({ session }: FastifyRequest): Known | undefined {
    // Nobody has a name here: whoever is on this machine may do everything, as on the operator's port.
    if (this.#tokens.length === 0) return { visitor: { role: 'approver' }, api: this.#api.as(undefined) };
    const token = this.#tokens.find(({ name }) => name === session.caller);
    if (token === undefined) return undefined;
    const { name, role } = token;
    return { visitor: { name, role }, api: this.#api.as(token.token) };
  }

  /** Everything that a page needs; what was to be told once is told with it. */
  async visit(request: FastifyRequest, reply: FastifyReply): Promise<Visit | undefined> {
    const known = this.known(request);
    if (known === undefined) return undefined;
    const { session, url } = request;
    const { person = '' } = session;
    // A page that refreshes itself shows nobody what was to be told.
    const notice = request.headers['x-refresh'] === undefined ? session.notice : undefined;
    if (notice !== undefined) delete session.notice;
    return {
      ...known,
      person,
      csrf: reply.generateCsrf(),
      // A form's answer that is a page has the page's address; others have none to come back to.
      path: isPage(request) ? url : '/',
      ...(notice !== undefined && { notice }),
      status: await statusOf(known.api),
    };
  }
}

function isPage({ server, routeOptions }: FastifyRequest): boolean {
  return server.hasRoute({ method: 'GET', url: routeOptions.url ?? '' });
}

/** Undefined while the journal is away: then a page says so where it needs it. */
async function statusOf(api: OperatorApi): Promise<Status | undefined> {
  try {
    return await api.get<Status>('/v1/status');
  } catch (error) {
    if (error instanceof ApiRefusal) return undefined;
    throw error;
  }
}
