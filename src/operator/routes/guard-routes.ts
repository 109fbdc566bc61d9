import { createHash, timingSafeEqual } from 'node:crypto';
import type { FastifyInstance, FastifyReply } from 'fastify';
import type { ServiceName } from '../../domain/ids.ts';
import type { Release, StoredMinute, TripBundleStore } from '../../engine/guard/guard-ports.ts';
import type { TriggerLevel } from '../../engine/guard/triggers.ts';
import { type Answered, type Asked, ENDPOINTS } from '../api/endpoints.ts';
import type { Explanation } from '../api/explain.ts';
import type { WatchedService } from '../api/guard.ts';
import { type GuardSource, guardStatus, stainedActions } from '../guard-status.ts';
import { printedMinute } from '../printed-minutes.ts';
import { knownService } from '../known-service.ts';
import { Refusal } from '../refusal.ts';
import { memberOf } from '../run-wishes.ts';
import { standingFindings, standingWords } from '../words.ts';
import { MISSING, serve } from './serve.ts';

/** A person's request about a service, with the reason. */
interface Wish {
  readonly service: ServiceName;
  readonly person: string;
  readonly reason: string;
}

export interface GuardRouteParts {
  readonly services: readonly ServiceName[];
  readonly guarding: GuardSource;
  /** Reads that the orchestrator can answer. */
  movableActions(service: ServiceName): readonly string[];
  levelsOf(service: ServiceName): readonly TriggerLevel[];
  /** @throws StorageError */
  release(wish: Wish): Promise<Release>;
  /** A person accepts a subject by name: `action:<name>`, or `unclassified`. @throws StorageError */
  accept(wish: Wish & { readonly subject: string }): Promise<void>;
  /** Trips the guard from outside. @throws StorageError */
  signal(wish: Wish): Promise<void>;
  /** Absent: signals are not allowed. */
  readonly signalToken?: string;
  minutes(fromMs: number): Promise<readonly StoredMinute[]>;
  /** @throws Refusal if the subject is not valid; StorageError */
  explain(service: ServiceName, subject: string): Promise<Explanation>;
  readonly nowMs: () => number;
}

const HOUR_MS = 3_600_000;
const DEFAULT_HOURS = 24;
/** More than a year. The differences have the same limit. */
const MOST_HOURS = 9_999;
const LONGEST_WORDS = 500;
const SUBJECT = /^(?:unclassified|action:[\w.-]{1,100})$/;

/** Latches, their release, acceptances, external signals, and the counted minutes. */
export function registerGuardRoutes(app: FastifyInstance, parts: GuardRouteParts): void {
  const routes = new GuardRoutes(parts);
  serve(app, ENDPOINTS.showGuard, () => routes.show());
  serve(app, ENDPOINTS.releaseLatch, ({ body }) => routes.release(body));
  serve(app, ENDPOINTS.acceptSubject, ({ body }) => routes.accept(body));
  serve(app, ENDPOINTS.signalGuard, ({ body }, { request }) =>
    routes.signal(body, request.headers.authorization),
  );
  serve(app, ENDPOINTS.listMinutes, ({ query }, { reply }) => routes.minutes(query.hours, reply));
  serve(app, ENDPOINTS.explain, ({ params }) => routes.explain(params));
}

class GuardRoutes {
  readonly #parts: GuardRouteParts;

  constructor(parts: GuardRouteParts) {
    this.#parts = parts;
  }

  show(): Answered<'showGuard'> {
    const { services, guarding } = this.#parts;
    const shown = (service: ServiceName): WatchedService => ({
      ...guardStatus(guarding, service),
      triggers: this.#parts.levelsOf(service),
    });
    return { services: Object.fromEntries(services.map((service) => [service, shown(service)])) };
  }

  async release(body: unknown): Promise<Answered<'releaseLatch'>> {
    const wish = this.#wish(body);
    const { service } = wish;
    this.#refuseWhileTriggersStand(service, body);
    const release = await this.#parts.release(wish);
    if (release.result === 'released') {
      const { id, flagsOff = [] } = release.latch;
      const stained = stainedActions(this.#parts.guarding.judged(service));
      return { released: service, latch: id, flags_off: flagsOff, stained };
    }
    if (release.result === 'not_latched')
      throw new Refusal(409, 'not_latched', `${service} has no latch to release`);
    const until = new Date(release.latch.coolDownUntilMs).toISOString();
    throw new Refusal(
      409,
      'cooling_down',
      `the latch of ${service} is in its cool-down: release it after ${until}. Until then legacy answers`,
    );
  }

  /** A latch that cools down is refused with this reason. */
  #refuseWhileTriggersStand(service: ServiceName, body: unknown): void {
    const { guarding, nowMs } = this.#parts;
    const { latch } = guarding.holdOf(service) ?? {};
    if (latch === undefined || latch.coolDownUntilMs > nowMs() || memberOf(body, 'even_so') === true) return;
    const standing = standingFindings(guarding.findingsOf(service));
    if (standing.length === 0) return;
    throw new Refusal(
      409,
      'trigger_stands',
      `the guard still finds a cause for ${service} (${standingWords(standing)}) and would trip again. Remove the cause and wait for one clean minute, or release with --even-so (even_so: true)`,
    );
  }

  async accept(body: unknown): Promise<Answered<'acceptSubject'>> {
    const wish = this.#wish(body);
    const subject = textOf(body, 'subject');
    if (!SUBJECT.test(subject))
      throw new Refusal(400, 'invalid_request', 'subject must be "action:<name>" or "unclassified"');
    const movable = this.#parts.movableActions(wish.service);
    const action = subject.startsWith('action:') ? subject.slice('action:'.length) : undefined;
    if (action !== undefined && !movable.includes(action)) {
      const known = movable.join(', ') || 'none';
      throw new Refusal(
        400,
        'invalid_request',
        `${wish.service} has no read "${action}" that can move: use ${known}`,
      );
    }
    await this.#parts.accept({ ...wish, subject });
    return { accepted: subject, service: wish.service };
  }

  async signal(body: unknown, authorization: string | undefined): Promise<Answered<'signalGuard'>> {
    this.#authenticate(authorization);
    const wish = this.#wish(body);
    await this.#parts.signal(wish);
    return { tripped: wish.service };
  }

  async minutes(hours: Asked<'listMinutes'>['query']['hours'], reply: FastifyReply): Promise<string> {
    const count = Number(hours ?? DEFAULT_HOURS);
    if (!(count > 0 && count <= MOST_HOURS))
      throw new Refusal(
        400,
        'invalid_request',
        `hours must be a number above 0 and at most ${MOST_HOURS}, got ${JSON.stringify(hours)}`,
      );
    const rows = await this.#parts.minutes(this.#parts.nowMs() - count * HOUR_MS);
    reply.type('application/x-ndjson');
    return rows.map((row) => `${JSON.stringify(printedMinute(row))}\n`).join('');
  }

  async explain({ service, subject }: Asked<'explain'>['params']): Promise<Explanation> {
    return this.#parts.explain(this.#known(service), subject);
  }

  #wish(body: unknown): Wish {
    const service = this.#known(textOf(body, 'service'));
    return { service, person: textOf(body, 'person'), reason: textOf(body, 'reason') };
  }

  #known(name: string): ServiceName {
    return knownService(name, this.#parts.services);
  }

  #authenticate(header: string | undefined): void {
    const { signalToken } = this.#parts;
    if (signalToken === undefined)
      throw new Refusal(403, 'permission_denied', 'signals need a token: set guard.signalToken');
    if (!isSame(header ?? '', `Bearer ${signalToken}`))
      throw new Refusal(401, 'permission_denied', 'the bearer token does not match guard.signalToken');
  }
}

/** Takes the same time for every wrong token. */
function isSame(given: string, expected: string): boolean {
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(given), digest(expected));
}

function textOf(body: unknown, name: string): string {
  const value: unknown = typeof body === 'object' && body !== null ? Reflect.get(body, name) : undefined;
  const text = typeof value === 'string' ? value.trim() : '';
  const missing = MISSING[name];
  if (value === undefined && missing !== undefined) throw new Refusal(400, 'invalid_request', missing);
  if (text === '' || text.length > LONGEST_WORDS)
    throw new Refusal(400, 'invalid_request', `${name} must be a text of 1 to ${LONGEST_WORDS} characters`);
  return text;
}

/** Lists and returns the bundles of trips. */
export function registerBundleRoutes(app: FastifyInstance, bundles: TripBundleStore): void {
  serve(app, ENDPOINTS.listBundles, async () => ({
    bundles: (await bundles.list()).map(({ latch, service, atMs, trigger, bytes }) => ({
      bundle: latch,
      service,
      at: new Date(atMs).toISOString(),
      trigger,
      bytes,
    })),
  }));
  serve(app, ENDPOINTS.showBundle, async ({ params: { bundle } }, { reply }) => {
    const text = /^\d{1,15}$/.test(bundle) ? await bundles.read(Number(bundle)) : undefined;
    if (text === undefined)
      throw new Refusal(
        404,
        'bundle_not_found',
        `unknown bundle "${bundle}": GET /v1/guard/bundles lists them`,
      );
    reply.type('application/json');
    return text;
  });
}
