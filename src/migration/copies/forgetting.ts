import type { LegacyLane, Retention, StoredMemory } from '../../domain/service-definition.ts';
import { POSITIONS_PER_SEQUENCE } from '../../domain/lane.ts';
import type { ListedMemory } from './copy-plan.ts';
import type { LastApplied } from '../journal-facts.ts';

/** A service that keeps only so many owners has forgotten some once it holds nearly that many. */
const NEARLY_FULL = 0.9;

export interface VanishedFacts {
  readonly retention: Retention;
  /** The lane as the primary shows it. */
  readonly source: LegacyLane;
  /** What the primary does not show any more, and no journaled write deleted. */
  readonly vanished: readonly StoredMemory[];
  readonly existing: readonly ListedMemory[];
  /** Asked where the whole owner is gone. */
  readonly lastApplied: () => Promise<LastApplied>;
  /** A write proved that the service held nothing of the owner: what lies below this position it had forgotten by then. */
  readonly emptyBelow: number;
  /** How many owners the service holds. */
  readonly ownerCount: () => Promise<number>;
}

/** Splits what vanished into what the service's declared retention explains, and what is lost. */
export async function explainVanished(
  facts: VanishedFacts,
): Promise<{ forgotten: StoredMemory[]; lost: StoredMemory[] }> {
  if (facts.vanished.length === 0) return { forgotten: [], lost: [] };
  const isForgotten = facts.source.exists ? byEntries(facts) : await byOwner(facts);
  const isExplained: Explained = (memory) => memory.position < facts.emptyBelow || isForgotten(memory);
  return {
    forgotten: facts.vanished.filter(isExplained),
    lost: facts.vanished.filter((memory) => !isExplained(memory)),
  };
}

type Explained = (memory: StoredMemory) => boolean;

/** The whole owner is gone: idle for too long, or one too many. */
async function byOwner(facts: VanishedFacts): Promise<Explained> {
  const { retention, ownerCount } = facts;
  const isIdle =
    retention.idleSeconds !== undefined && (await idleMs(facts)) >= retention.idleSeconds * 1_000;
  const isCrowded = retention.owners !== undefined && (await ownerCount()) >= retention.owners * NEARLY_FULL;
  return () => isIdle || isCrowded;
}

/** A delivered item bears the time of a proxy's clock, which may be an hour off: it is no newer than what the journal says. */
async function idleMs({ existing, lastApplied }: VanishedFacts): Promise<number> {
  const { nowMs, atMs = Infinity } = await lastApplied();
  const times = existing.map(({ memory: { created_at: time, position } }) =>
    position % POSITIONS_PER_SEQUENCE === 0 ? Math.min(Date.parse(time), atMs) : Date.parse(time),
  );
  return nowMs - times.reduce((latest, time) => Math.max(latest, time), Number.NEGATIVE_INFINITY);
}

/** The service shows as many newest items as it keeps, and what vanished is older than all of them. */
function byEntries({ retention, source, existing }: VanishedFacts): Explained {
  const { entries } = retention;
  const counts = (fields: Readonly<Record<string, string>>): boolean => retention.counts?.(fields) ?? true;
  if (entries === undefined) return () => false;
  const shown = source.items.filter(({ fields }) => counts(fields));
  if (shown.length < entries) return () => false;
  const fieldsOf = new Map(existing.map(({ memory, fields }) => [memory, fields]));
  const oldestShown = Date.parse(shown[0]?.at ?? '');
  // Both clocks are read: the times of delivered items are the proxy's, the source's are its own.
  const slackMs = 5_000;
  return (memory) =>
    counts(fieldsOf.get(memory) ?? {}) && Date.parse(memory.created_at) <= oldestShown + slackMs;
}
