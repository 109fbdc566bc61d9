import type { FastifyInstance, FastifyReply } from 'fastify';
import { type LaneKey, laneKeyOf, parseOwner, type ServiceName } from '../../domain/ids.ts';
import type { ByPerson } from '../../engine/ports/decision-ports.ts';
import type {
  EndFactStore,
  ServiceWrites,
  ServiceWritesStore,
} from '../../engine/ports/service-writes-ports.ts';
import { type Answered, type Asked, ENDPOINTS } from '../api/endpoints.ts';
import type { EndFact, EndOfService } from '../api/ends.ts';
import {
  type Certificate,
  canonicalText,
  faultsOf,
  parseCertificate,
  type Statement,
} from '../certificate/certificate.ts';
import { certificatePage } from '../certificate/certificate-page.ts';
import {
  acceptableSubjects,
  type CompletionFacts,
  completionFactsOf,
  type CompletionSources,
  factsDigest,
  type Need,
  needsOf,
  noLongerPossible,
  readOnlyNeeds,
  statementOf,
} from '../ends/completion.ts';
import { knownService } from '../known-service.ts';
import { Refusal } from '../refusal.ts';
import { REPORT_POLICY } from '../report/render-html.ts';
import { serve } from './serve.ts';

export interface EndRouteParts extends CompletionSources {
  readonly store: ServiceWritesStore;
  readonly facts: EndFactStore;
  /** Of Crossfade. */
  readonly version: string;
  /** `readOnly.bypassFreeSeconds`, of services whose interlocks are enforced. */
  bypassFreeSeconds(service: ServiceName): number | undefined;
}

const DAY_SECONDS = 86_400;

/** The end of a migration: legacy becomes read-only, and then is not needed any more. */
export function registerEndRoutes(app: FastifyInstance, parts: EndRouteParts): void {
  const routes = new EndRoutes(parts);
  serve(app, ENDPOINTS.showEnd, (asked) => routes.show(asked));
  serve(app, ENDPOINTS.beginReadOnly, ({ params, body }) => routes.begin(params.service, body));
  serve(app, ENDPOINTS.endReadOnly, ({ params, body }) => routes.reopen(params.service, body));
  serve(app, ENDPOINTS.recordLegacyBackup, ({ params, body }) => routes.backup(params.service, body));
  serve(app, ENDPOINTS.acceptForEnd, ({ params, body }) => routes.accept(params.service, body));
  serve(app, ENDPOINTS.approveCompletion, ({ params, body }) => routes.approve(params.service, body));
  serve(app, ENDPOINTS.completeService, ({ params, body }) => routes.complete(params.service, body));
  serve(app, ENDPOINTS.showStatement, ({ params }) => routes.statement(params.service));
  serve(app, ENDPOINTS.keepCertificate, ({ params, body }) => routes.keep(params.service, body));
  serve(app, ENDPOINTS.showCertificate, ({ params }, { reply }) => routes.certificate(params.service, reply));
  serve(app, ENDPOINTS.showCertificatePage, ({ params, query }, { reply }) =>
    routes.page(params.service, query.signer, reply),
  );
}

class EndRoutes {
  readonly #parts: EndRouteParts;

  constructor(parts: EndRouteParts) {
    this.#parts = parts;
  }

  async show({ params, query }: Asked<'showEnd'>): Promise<Answered<'showEnd'>> {
    const service = this.#known(params.service);
    const givenUp = lanesNamed(service, query.give_up?.split(',') ?? []);
    const facts = await this.#facts(service);
    return printed(facts, await this.#readOnlyNeeds(service, facts, givenUp));
  }

  async begin(name: string, body: Asked<'beginReadOnly'>['body']): Promise<Answered<'beginReadOnly'>> {
    const service = this.#known(name);
    const { store } = this.#parts;
    const givenUp = lanesNamed(service, body.give_up ?? []);
    const facts = await this.#facts(service);
    const missing = (await this.#readOnlyNeeds(service, facts, givenUp)).filter(({ isMet }) => !isMet);
    if (missing.length > 0) throw notYet(`${service} cannot become read-only`, missing);
    if (!(await store.beginReadOnly(service, { ...byOf(body), givenUp })))
      throw new Refusal(409, 'changed', `${service} has changed meanwhile: look again with --dry-run`);
    return { service, state: 'read_only' };
  }

  async reopen(name: string, body: Asked<'endReadOnly'>['body']): Promise<Answered<'endReadOnly'>> {
    const service = this.#known(name);
    if (!(await this.#parts.store.reopen(service, byOf(body))))
      throw new Refusal(409, 'not_read_only', `${service} is not read-only`);
    return { service, state: 'open' };
  }

  async backup(
    name: string,
    body: Asked<'recordLegacyBackup'>['body'],
  ): Promise<Answered<'recordLegacyBackup'>> {
    const service = this.#known(name);
    const madeAtMs = Date.parse(body.made_at);
    if (Number.isNaN(madeAtMs))
      throw new Refusal(400, 'invalid_request', `made_at must be a time, got "${body.made_at}"`);
    const { folder, manifest_sha256: manifestSha256, lanes, items } = body;
    const { scratch_instance: scratchInstance = 'not_configured' } = body;
    const backup = { folder, madeAtMs, manifestSha256, lanes, items, scratchInstance };
    await this.#parts.store.backedUp(service, backup, byOf(body));
    return { service, state: await this.#stateOf(service) };
  }

  async accept(name: string, body: Asked<'acceptForEnd'>['body']): Promise<Answered<'acceptForEnd'>> {
    const service = this.#known(name);
    const facts = await this.#facts(service);
    const known = acceptableSubjects(facts);
    if (!known.includes(body.subject))
      throw new Refusal(400, 'invalid_request', `unknown subject "${body.subject}": use ${known.join(', ')}`);
    await this.#parts.facts.accept(service, body.subject, byOf(body));
    return { service, state: await this.#stateOf(service) };
  }

  async approve(
    name: string,
    body: Asked<'approveCompletion'>['body'],
  ): Promise<Answered<'approveCompletion'>> {
    const service = this.#known(name);
    const facts = await this.#facts(service);
    refuseOtherFacts(facts, body.facts);
    await this.#parts.store.approve(service, { ...byOf(body), facts: body.facts });
    return { service, state: await this.#stateOf(service) };
  }

  async complete(name: string, body: Asked<'completeService'>['body']): Promise<Answered<'completeService'>> {
    const service = this.#known(name);
    const { store, version, requiredSeconds } = this.#parts;
    const facts = await this.#facts(service);
    refuseOtherFacts(facts, body.facts);
    const missing = needsOf(facts).filter(({ isMet }) => !isMet);
    if (missing.length > 0) throw notYet(`${service} cannot be completed`, missing);
    const statement = canonicalText(statementOf(facts, { by: byOf(body), version }));
    const isDone = await store.complete(
      service,
      { facts: body.facts, requiredSeconds, statement },
      byOf(body),
    );
    if (!isDone)
      throw new Refusal(409, 'changed', `${service} has changed meanwhile: look again without --confirm`);
    return { service, statement };
  }

  async statement(name: string): Promise<Answered<'showStatement'>> {
    const service = this.#known(name);
    const { statement } = await this.#completed(service);
    return { service, statement };
  }

  async keep(name: string, body: Asked<'keepCertificate'>['body']): Promise<Answered<'keepCertificate'>> {
    const service = this.#known(name);
    const { statement } = await this.#completed(service);
    const { public_key: publicKey, signature: value } = body;
    const signature = { algorithm: 'Ed25519', public_key: publicKey, value } as const;
    const certificate: Certificate = { statement: JSON.parse(statement) as Statement, signature };
    if (faultsOf(certificate, undefined).length > 0)
      throw new Refusal(409, 'wrong_signature', `the signature is not one of the statement of ${service}`);
    await this.#parts.facts.keepCertificate(service, JSON.stringify(certificate), byOf(body));
    return { service, state: 'complete' };
  }

  async certificate(name: string, reply: FastifyReply): Promise<string> {
    const text = await this.#signed(this.#known(name));
    reply.type('application/json');
    return text;
  }

  async page(name: string, signer: string | undefined, reply: FastifyReply): Promise<string> {
    const page = certificatePage(parseCertificate(await this.#signed(this.#known(name))), signer);
    reply.type(ENDPOINTS.showCertificatePage.answer.document);
    reply.header('content-security-policy', REPORT_POLICY);
    return page;
  }

  async #signed(service: ServiceName): Promise<string> {
    const { signed } = await this.#completed(service);
    if (signed !== undefined) return signed;
    const command = `crossfade certificate issue ${service} --key FILE --out FILE`;
    throw new Refusal(
      404,
      'certificate_not_found',
      `the certificate of ${service} is not signed yet: ${command}`,
    );
  }

  async #completed(service: ServiceName) {
    const found = await this.#parts.facts.certificate(service);
    if (found !== undefined) return found;
    throw new Refusal(409, 'not_complete', `${service} is not complete: crossfade complete ${service}`);
  }

  #facts(service: ServiceName): Promise<CompletionFacts> {
    return completionFactsOf(service, this.#parts);
  }

  async #readOnlyNeeds(
    service: ServiceName,
    facts: CompletionFacts,
    givenUp: readonly LaneKey[],
  ): Promise<readonly Need[]> {
    const obstacles = await this.#parts.store.obstacles(service, givenUp);
    return readOnlyNeeds(facts, obstacles, this.#parts.bypassFreeSeconds(service));
  }

  async #stateOf(service: ServiceName): Promise<string> {
    return (await this.#parts.store.all()).find((one) => one.service === service)?.state ?? 'open';
  }

  #known(name: string): ServiceName {
    return knownService(name, this.#parts.services.keys());
  }
}

function byOf({ person, reason }: ByPerson): ByPerson {
  return { person: person.trim(), reason: reason.trim() };
}

/** @throws Refusal if one is not an owner of the service. With or without the name of the service */
function lanesNamed(service: ServiceName, names: readonly string[]): LaneKey[] {
  return names
    .filter((name) => name !== '')
    .map((name) => {
      const prefix = `${service}/`;
      const owner = parseOwner(name.startsWith(prefix) ? name.slice(prefix.length) : name);
      if (owner === undefined) throw new Refusal(400, 'invalid_request', `invalid lane "${name}"`);
      return laneKeyOf(service, owner);
    });
}

function refuseOtherFacts(facts: CompletionFacts, given: string): void {
  const digest = factsDigest(facts);
  if (given === digest) return;
  const { name } = facts.definition;
  throw new Refusal(409, 'facts_changed', `the facts of ${name} are ${digest} now: look at them again`);
}

function notYet(what: string, missing: readonly { readonly says: string }[]): Refusal {
  return new Refusal(409, 'not_ready', `${what}: ${missing.map(({ says }) => says).join('; ')}`);
}

function printed(facts: CompletionFacts, readOnly: readonly Need[]): EndOfService {
  const { definition, writes, requiredSeconds, keptPerDay } = facts;
  const isOver = writes?.state === 'complete';
  const needs = isOver ? [] : needsOf(facts);
  return {
    service: definition.name,
    state: writes?.state ?? 'open',
    ...printedTimes(writes),
    clock_restarts: writes?.clockRestarts ?? 0,
    required_seconds: requiredSeconds,
    read_only: readOnly.map(printedNeed),
    completion: needs.map(printedNeed),
    facts: factsDigest(facts),
    approvals: facts.approvals.map(({ atMs, ...approval }) => ({ ...approval, at: iso(atMs) })),
    lanes: facts.owners - facts.bornSince,
    born_since: facts.bornSince,
    not_copied: facts.notCopied,
    given_up: facts.lanes.filter(({ isGivenUp }) => isGivenUp).map(({ lane }) => lane),
    foreign: facts.foreign.map(({ foundAtMs, seenAtMs, digest: _digest, ...change }) => ({
      ...change,
      found_at: iso(foundAtMs),
      seen_at: iso(seenAtMs),
    })),
    census: printedCensus(writes),
    backup: printedBackup(facts),
    kept: {
      writes_per_day: keptPerDay.writes,
      bytes_per_day: keptPerDay.bytes,
      bytes_estimated: Math.round((keptPerDay.bytes * requiredSeconds) / DAY_SECONDS),
    },
    no_longer_possible: noLongerPossible(facts),
    leftovers: isOver ? leftoversOf(definition.name) : [],
  };
}

function printedNeed({ isMet, ...need }: Need): EndFact {
  return { ...need, met: isMet };
}

function printedTimes(
  writes: ServiceWrites | undefined,
): Pick<EndOfService, 'since' | 'settled_at' | 'clock_began_at' | 'completed_at'> {
  const { sinceMs, settledAtMs, clockBeganAtMs, completedAtMs } = writes ?? {};
  return {
    since: isoOrNull(sinceMs),
    settled_at: isoOrNull(settledAtMs),
    clock_began_at: isoOrNull(clockBeganAtMs),
    completed_at: isoOrNull(completedAtMs),
  };
}

function printedCensus(writes: ServiceWrites | undefined): EndOfService['census'] {
  const { census } = writes ?? {};
  if (census === undefined) return null;
  const { atMs, lanes, equal, unproven, forgotten } = census;
  return { at: iso(atMs), lanes, equal, unproven, forgotten_items: forgotten.items };
}

function printedBackup({ backup }: CompletionFacts): EndOfService['backup'] {
  if (backup === undefined) return null;
  const { folder, madeAtMs, restoredAtMs, lanes, items, scratchInstance } = backup;
  return {
    folder,
    made_at: iso(madeAtMs),
    restored_at: iso(restoredAtMs),
    lanes,
    items,
    scratch_instance: scratchInstance,
  };
}

/** What is left of a completed service, for people to remove. */
function leftoversOf(service: string): string[] {
  return [
    `the flags crossfade.${service}.*, which have no effect any more`,
    `services.${service}.legacy in the settings of the proxy`,
    'the legacy process, its files and its credentials',
    'the backup folder, which is to be kept',
  ];
}

function iso(ms: number): string {
  return new Date(ms).toISOString();
}

function isoOrNull(ms: number | undefined): string | null {
  return ms === undefined ? null : iso(ms);
}
