import type { Status } from '../api/status.ts';
import type { FastifyReply, FastifyRequest, Session } from 'fastify';
import { KILL_SWITCH } from '../../domain/flags.ts';
import { ENDPOINTS } from '../api/endpoints.ts';
import type { OperatorToken } from '../operator-access.ts';
import { ApiRefusal, type OperatorApi, type OperatorApiHost } from './operator-api.ts';
import { isFresh, Notices } from './sessions.ts';
import type { DeskPages, Notice, Visit, Visitor } from './visit.ts';

interface Known {
  readonly visitor: Visitor;
  readonly api: OperatorApi;
}

interface VisitorParts {
  readonly tokens: readonly OperatorToken[];
  readonly api: OperatorApiHost;
  readonly nowMs: () => number;
  readonly zone: string;
  readonly pages: DeskPages;
}

/** Identifies the visitor by the session, and calls the API as that visitor. */
export class Visitors {
  readonly #tokens: readonly OperatorToken[];
  readonly #api: OperatorApiHost;
  readonly #nowMs: () => number;
  readonly #zone: string;
  readonly #pages: DeskPages;
  readonly #notices = new Notices();

  constructor({ tokens, api, nowMs, zone, pages }: VisitorParts) {
    this.#tokens = tokens;
    this.#api = api;
    this.#nowMs = nowMs;
    this.#zone = zone;
    this.#pages = pages;
  }

  /** Records that a visitor signed in with a token. */
  admit({ session }: FastifyRequest, caller: string): void {
    session.caller = caller;
    session.signedInMs = session.activeMs = this.#nowMs();
  }

  /** Undefined for a visitor who must sign in first. */
  known(request: FastifyRequest): Known | undefined {
    // Without tokens there are no names: anyone on this machine may do everything, as on the operator's port.
    if (this.#tokens.length === 0) return { visitor: { role: 'approver' }, api: this.#api.as(undefined) };
    const { session } = request;
    const token = this.#tokenOf(session);
    if (token === undefined) return undefined;
    if (!isByItself(request)) session.activeMs = this.#nowMs();
    const { name, role } = token;
    return { visitor: { name, role }, api: this.#api.as(token.token) };
  }

  /** The same for a long request. Its session may have ended or been signed out meanwhile. */
  async stillKnown({ session, sessionStore }: FastifyRequest): Promise<boolean> {
    if (this.#tokens.length === 0) return true;
    const { promise, resolve } = Promise.withResolvers<Session | null | undefined>();
    sessionStore.get(session.sessionId, (_error, found) => resolve(found));
    const kept = await promise;
    return kept !== null && kept !== undefined && this.#tokenOf(kept) !== undefined;
  }

  #tokenOf(session: Pick<Session, 'caller' | 'signedInMs' | 'activeMs'>): OperatorToken | undefined {
    if (!isFresh(session, this.#nowMs())) return undefined;
    return this.#tokens.find(({ name }) => name === session.caller);
  }

  /** Shows a notice on the visitor's next page. */
  tell(request: FastifyRequest, notice: Notice): void {
    this.#notices.tell(request, notice);
  }

  /** Everything that a page needs. A notice is shown once and then removed. */
  async visit(request: FastifyRequest, reply: FastifyReply): Promise<Visit | undefined> {
    const known = this.known(request);
    if (known === undefined) return undefined;
    const { session, url } = request;
    const { person = '' } = session;
    // A page that refreshes itself must not use up the notice.
    const notice = request.headers['x-refresh'] === undefined ? this.#notices.take(request) : undefined;
    const status = await statusOf(known.api);
    const killedSince = status?.proxy.flags.kill_switch === true ? await killedSinceOf(known.api) : undefined;
    return {
      ...known,
      person,
      csrf: reply.generateCsrf(),
      // If a form's answer is a page, it has the page's address. Other answers have no page to return to.
      path: isPage(request) ? url : '/',
      ...(notice !== undefined && { notice }),
      status,
      zone: this.#zone,
      pages: this.#pages,
      ...(killedSince !== undefined && { killedSince }),
    };
  }
}

/** True for requests that an open page makes by itself. They do not count as activity of the visitor. */
function isByItself({ headers, routeOptions }: FastifyRequest): boolean {
  return headers['x-refresh'] !== undefined || (routeOptions.url ?? '').startsWith('/live/');
}

function isPage({ server, routeOptions }: FastifyRequest): boolean {
  return server.hasRoute({ method: 'GET', url: routeOptions.url ?? '' });
}

/** Where Unleash keeps the flags, the audit does not hold their changes. */
async function killedSinceOf(api: OperatorApi): Promise<string | undefined> {
  try {
    const { entries } = await api.ask(ENDPOINTS.listAudit, { query: { service: 'all', limit: '100' } });
    const last = entries.find(({ details }) => details['flag'] === KILL_SWITCH);
    return last?.details['to'] === 100 ? last.at : undefined;
  } catch (error) {
    if (error instanceof ApiRefusal) return undefined;
    throw error;
  }
}

/** Undefined while the journal is away. Pages that need it report that. */
async function statusOf(api: OperatorApi): Promise<Status | undefined> {
  try {
    return await api.ask(ENDPOINTS.showStatus, {});
  } catch (error) {
    if (error instanceof ApiRefusal) return undefined;
    throw error;
  }
}
