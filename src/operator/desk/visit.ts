import type { Status } from '../api/status.ts';
import type { FastifyReply } from 'fastify';
import { mayAs } from '../operator-access.ts';
import { type OperatorRole } from '../api/endpoint.ts';
import type { OperatorApi } from './operator-api.ts';

/** The visitor. */
export interface Visitor {
  /** Name of the token. Absent where there is no sign-in. */
  readonly name?: string;
  readonly role: OperatorRole;
}

/** The result of a change, shown once on the next page. */
export interface Notice {
  readonly tone: 'good' | 'bad';
  readonly text: string;
  /** What was started. */
  readonly link?: { readonly to: string; readonly label: string };
}

/** Which pages of the desk are served. */
export type DeskPages = 'all' | 'reports';

/** One request of a visitor who may look, with what every page needs. */
export interface Visit {
  readonly api: OperatorApi;
  readonly visitor: Visitor;
  /** The name that was typed last, where there is no sign-in. */
  readonly person: string;
  /** The token for forms that make a change. */
  readonly csrf: string;
  /** Path and query of the request. */
  readonly path: string;
  readonly notice?: Notice;
  readonly status: Status | undefined;
  /** @defaultValue all */
  readonly pages?: DeskPages;
  /** The zone for times without a script. @defaultValue UTC */
  readonly zone?: string;
  /** When the kill switch was switched on. Absent while it is off, or if the audit does not hold it. */
  readonly killedSince?: string;
}

export function may({ visitor }: Visit, role: OperatorRole): boolean {
  return mayAs(visitor.role, role);
}

/** What pages are made from. */
export interface Asked<Params = unknown> {
  readonly params: Params;
  readonly query: Readonly<Record<string, string | undefined>>;
}

declare module 'fastify' {
  interface Session {
    /** Name of the token that was signed in with. */
    caller?: string;
    /**
     * Times by the desk's clock, milliseconds: of the sign-in, and of the visitor's last activity. Refreshes of a page do not
     * count.
     */
    signedInMs?: number;
    activeMs?: number;
    person?: string;
  }
}

/** Returns a path on this desk, or its front page. Never another address. */
export function placeOf(value: unknown): string {
  return typeof value === 'string' && /^\/(?![/\\])[\w\-./?=&%~:+]*$/.test(value) ? value : '/';
}

export function goTo(reply: FastifyReply, place: string): FastifyReply {
  return reply.redirect(placeOf(place), 303);
}
