import type { FastifyReply, FastifyRequest, Session } from 'fastify';
import { KILL_SWITCH } from '../../domain/flags.ts';
import type { OperatorToken } from '../operator-access.ts';
import type { Status } from '../status.ts';
import { ApiRefusal, type OperatorApi, type OperatorApiHost } from './operator-api.ts';
import { isFresh } from './sessions.ts';
import type { DeskPages, Visit, Visitor } from './visit.ts';

interface Known {
  readonly visitor: Visitor;
  readonly api: OperatorApi;
}

interface ReceptionParts {
  readonly tokens: readonly OperatorToken[];
  readonly api: OperatorApiHost;
  readonly nowMs: () => number;
  readonly zone: string;
  readonly pages: DeskPages;
}

/** Knows from the session who looks, and asks the API as them. */
export class Reception {
  readonly #tokens: readonly OperatorToken[];
  readonly #api: OperatorApiHost;
  readonly #nowMs: () => number;
  readonly #zone: string;
  readonly #pages: DeskPages;

  constructor({ tokens, api, nowMs, zone, pages }: ReceptionParts) {
    this.#tokens = tokens;
    this.#api = api;
    this.#nowMs = nowMs;
    this.#zone = zone;
    this.#pages = pages;
  }

  /** Somebody has signed in with a token. */
  admit({ session }: FastifyRequest, caller: string): void {
    session.caller = caller;
    session.signedInMs = session.activeMs = this.#nowMs();
  }

  /** Undefined for somebody who must sign in first. */
  known(request: FastifyRequest): Known | undefined {
    // Nobody has a name here: whoever is on this machine may do everything, as on the operator's port.
    if (this.#tokens.length === 0) return { visitor: { role: 'approver' }, api: this.#api.as(undefined) };
    const { session } = request;
    const token = this.#tokenOf(session);
    if (token === undefined) return undefined;
    if (!isByItself(request)) session.activeMs = this.#nowMs();
    const { name, role } = token;
    return { visitor: { name, role }, api: this.#api.as(token.token) };
  }

  /** The same of what goes on for long: its session may have ended meanwhile, or been signed out of. */
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

  /** Everything that a page needs; what was to be told once is told with it. */
  async visit(request: FastifyRequest, reply: FastifyReply): Promise<Visit | undefined> {
    const known = this.known(request);
    if (known === undefined) return undefined;
    const { session, url } = request;
    const { person = '' } = session;
    // A page that refreshes itself shows nobody what was to be told.
    const notice = request.headers['x-refresh'] === undefined ? session.notice : undefined;
    if (notice !== undefined) delete session.notice;
    const status = await statusOf(known.api);
    const killedSince = status?.proxy.flags.kill_switch === true ? await killedSinceOf(known.api) : undefined;
    return {
      ...known,
      person,
      csrf: reply.generateCsrf(),
      // A form's answer that is a page has the page's address; others have none to come back to.
      path: isPage(request) ? url : '/',
      ...(notice !== undefined && { notice }),
      status,
      zone: this.#zone,
      pages: this.#pages,
      ...(killedSince !== undefined && { killedSince }),
    };
  }
}

/** A page that stands open asks again by itself: that is nobody's doing. */
function isByItself({ headers, routeOptions }: FastifyRequest): boolean {
  return headers['x-refresh'] !== undefined || (routeOptions.url ?? '').startsWith('/live/');
}

function isPage({ server, routeOptions }: FastifyRequest): boolean {
  return server.hasRoute({ method: 'GET', url: routeOptions.url ?? '' });
}

/** Where Unleash keeps the flags, the audit does not know. */
async function killedSinceOf(api: OperatorApi): Promise<string | undefined> {
  try {
    const { entries } = await api.get<{ entries: readonly AuditedFlag[] }>('/v1/audit?service=all&limit=100');
    const last = entries.find(({ details }) => details.flag === KILL_SWITCH);
    return last?.details.to === 100 ? last.at : undefined;
  } catch (error) {
    if (error instanceof ApiRefusal) return undefined;
    throw error;
  }
}

interface AuditedFlag {
  readonly at: string;
  readonly details: { readonly flag?: string; readonly to?: number };
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
