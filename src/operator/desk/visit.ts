import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Status } from '../status.ts';
import { mayAs, type OperatorRole } from '../operator-access.ts';
import type { OperatorApi } from './operator-api.ts';

/** Who looks. */
export interface Visitor {
  /** Of the token; absent where nobody signs in. */
  readonly name?: string;
  readonly role: OperatorRole;
}

/** What was done, or why not, told once on the next page. */
export interface Notice {
  readonly tone: 'good' | 'bad';
  readonly text: string;
  /** What was begun. */
  readonly link?: { readonly to: string; readonly label: string };
}

/** Which pages of the desk are served. */
export type DeskPages = 'all' | 'reports';

/** One request of somebody who may look, with what every page needs. */
export interface Visit {
  readonly api: OperatorApi;
  readonly visitor: Visitor;
  /** The name that was typed last, where nobody signs in. */
  readonly person: string;
  /** For forms that change something. */
  readonly csrf: string;
  /** Path and query that were asked for. */
  readonly path: string;
  readonly notice?: Notice;
  readonly status: Status | undefined;
  /** @defaultValue all */
  readonly pages?: DeskPages;
  /** In which times are shown without a script. @defaultValue UTC */
  readonly zone?: string;
  /** When the kill switch was switched on; absent while it is off, or where the audit does not say. */
  readonly killedSince?: string;
}

export function may({ visitor }: Visit, role: OperatorRole): boolean {
  return mayAs(visitor.role, role);
}

/** What a page is made from. */
export interface Asked<Params = unknown> {
  readonly params: Params;
  readonly query: Readonly<Record<string, string | undefined>>;
}

declare module 'fastify' {
  interface Session {
    /** Name of the token that was signed in with. */
    caller?: string;
    /** When, by the desk's clock, in milliseconds; and when somebody last did something, not a page by itself. */
    signedInMs?: number;
    activeMs?: number;
    person?: string;
    notice?: Notice;
  }
}

/** Tells something on the next page. */
export function tell(request: FastifyRequest, notice: Notice): void {
  request.session.notice = notice;
}

/** A place on this desk, or its front page: never elsewhere. */
export function placeOf(value: unknown): string {
  return typeof value === 'string' && /^\/(?![/\\])[\w\-./?=&%~:+]*$/.test(value) ? value : '/';
}

export function goTo(reply: FastifyReply, place: string): FastifyReply {
  return reply.redirect(placeOf(place), 303);
}
