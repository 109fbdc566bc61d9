import { createHash } from 'node:crypto';
import { digestedContent, orderedDigest, taggedText } from '../../domain/content-digest.ts';
import { type Owner, type SessionId, sessionIdOf } from '../../domain/ids.ts';
import { isJsonObject, type JsonObject } from '../../domain/json.ts';
import type { LaneDigest, LegacyLane } from '../../domain/service-definition.ts';
import { FORGOTTEN_TAG } from '../items/copy-plan.ts';
import type { Clock } from '../../shared/clock.ts';
import type { Orchestrator } from '../ports/ports.ts';
import type { ServiceRuntime } from '../ports/service-runtime.ts';
import type { EqualStates } from '../ports/journal-facts.ts';
import { ItemTurns } from './item-turns.ts';
import type { LegacyReading } from './legacy-lanes.ts';

/**
 * Count and digest of a list. Equal on both sides if the lists are equal, item by item, in order, and with the tags by which
 * reads find them. Additional tags of others also change it. Then the lane is read and compared.
 */
type ListDigest = string;

/** A lane as legacy shows it, and the digest that the orchestrator's session must have if it holds exactly the same. */
interface DigestedLegacy {
  readonly lane: LegacyLane;
  readonly digest: ListDigest;
}

/** Without lanes that cannot be read, or that digests cannot compare. */
export async function digestsOfLegacy(
  service: ServiceRuntime,
  readings: ReadonlyMap<Owner, LegacyReading>,
): Promise<ReadonlyMap<Owner, DigestedLegacy>> {
  const digests = new Map<Owner, DigestedLegacy>();
  const { digest } = service.definition.lanes;
  if (digest === undefined) return digests;
  const turns = new ItemTurns();
  for (const [owner, reading] of readings) {
    if ('problem' in reading) continue;
    const { lane } = reading;
    digests.set(owner, { lane, digest: digestOf(service, { owner, lane, digest }) });
    await turns.after(lane.items.length);
  }
  return digests;
}

interface LegacyList {
  readonly owner: Owner;
  readonly lane: LegacyLane;
  readonly digest: LaneDigest;
}

function digestOf(
  { definition: { lanes } }: ServiceRuntime,
  { owner, lane, digest }: LegacyList,
): ListDigest {
  const ordered = orderedDigest();
  for (const item of lane.items) {
    const { content, tags } = lanes.createPayload(item, owner);
    const text = digestedContent(content, digest);
    ordered.add(taggedText(text, Array.isArray(tags) ? (tags as string[]) : []));
  }
  return `${lane.items.length}:${ordered.digest()}`;
}

const SESSIONS_PER_CALL = 500;

interface DigestQuery {
  readonly orchestrator: Pick<Orchestrator, 'read'>;
  readonly clock: Clock;
  readonly timeoutMs: number;
}

/** What the orchestrator reports of a lane. */
interface DigestedLane {
  /** Changes with every change of the contents. Undefined if it makes none. */
  readonly fingerprint?: string;
  /** Left out if the fingerprint is still the known one. */
  readonly digest?: ListDigest;
}

/**
 * Gets what the orchestrator holds of many lanes, in few calls. Tags are digested too (`with_tags`), because no read finds an
 * item without its lane's tags, and legacy has none to compare. A lane with an unchanged fingerprint is not digested
 * (`known_fingerprints`).
 * @param known fingerprints whose contents are known
 * @throws CrossfadeError
 */
export async function digestsOfOrchestrator(
  { definition: { lanes } }: ServiceRuntime,
  { owners, known }: { readonly owners: readonly Owner[]; readonly known: ReadonlyMap<Owner, string> },
  { orchestrator, clock, timeoutMs }: DigestQuery,
): Promise<ReadonlyMap<Owner, DigestedLane>> {
  const digests = new Map<Owner, DigestedLane>();
  if (lanes.digest === undefined) return digests;
  const { fields, without, excludeTags } = lanes.digest;
  for (let at = 0; at < owners.length; at += SESSIONS_PER_CALL) {
    const ownerOf = new Map<SessionId, Owner>(
      owners
        .slice(at, at + SESSIONS_PER_CALL)
        .map((owner) => [sessionIdOf(lanes.sessionPrefix, owner), owner]),
    );
    const payload = {
      session_ids: [...ownerOf.keys()],
      known_fingerprints: [...ownerOf.values()].map((owner) => known.get(owner) ?? null),
      fields,
      without,
      exclude_tags: [FORGOTTEN_TAG, ...excludeTags],
      ordered: true,
      with_tags: true,
      no_touch: true,
    };
    const answer = await orchestrator.read(
      { action: 'digest', payload },
      { purpose: 'probe', deadlineAtMs: clock.now() + timeoutMs },
    );
    for (const session of sessionsIn(answer.data['sessions'])) {
      const owner = ownerOf.get(session['session_id'] as SessionId);
      if (owner !== undefined) digests.set(owner, digestedLane(session));
    }
  }
  return digests;
}

function sessionsIn(sessions: unknown): JsonObject[] {
  return Array.isArray(sessions) ? sessions.filter((session: unknown) => isJsonObject(session)) : [];
}

function digestedLane({ count, digest, fingerprint }: JsonObject): DigestedLane {
  return {
    ...(typeof digest === 'string' && { digest: `${String(count)}:${digest}` }),
    ...(typeof fingerprint === 'string' && { fingerprint }),
  };
}

/** What both sides show of a lane now. */
interface ShownLane {
  readonly legacy: ListDigest;
  readonly orchestrator: DigestedLane | undefined;
  /** Undefined before they were first found equal. */
  readonly known: EqualStates | undefined;
}

/** Detects equal lanes by their digests, or because both sides show what was once found to be the same list. */
export class EqualLanes {
  readonly #members: string;

  /** Other members give other digests of the same list, so results from other members do not apply. */
  constructor(members: LaneDigest | undefined) {
    this.#members = createHash('sha256')
      .update(JSON.stringify(members ?? null))
      .digest('hex')
      .slice(0, 16);
  }

  isEqual({ legacy, orchestrator, known }: ShownLane): boolean {
    if (orchestrator === undefined) return false;
    if (orchestrator.digest !== undefined) return orchestrator.digest === legacy;
    return isSameStates(this.statesOf({ legacy, orchestrator }), known);
  }

  /** Returns the known fingerprint only if it belongs to the current members. Otherwise it must be computed again. */
  fingerprintIn(known: EqualStates | undefined): string | undefined {
    return known?.legacy.endsWith(` ${this.#members}`) === true ? known.orchestrator : undefined;
  }

  /** Undefined if the orchestrator makes no fingerprints. */
  statesOf({ legacy, orchestrator }: Omit<ShownLane, 'known'>): EqualStates | undefined {
    const fingerprint = orchestrator?.fingerprint;
    if (fingerprint === undefined) return undefined;
    return { legacy: `${legacy} ${this.#members}`, orchestrator: fingerprint };
  }
}

/** Undefined equals nothing. */
export function isSameStates(one: EqualStates | undefined, other: EqualStates | undefined): boolean {
  return one !== undefined && one.legacy === other?.legacy && one.orchestrator === other.orchestrator;
}
