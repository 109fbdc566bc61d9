import type { LegacyLane, Retention, StoredMemory } from '../../domain/service-definition.ts';
import { POSITIONS_PER_SEQUENCE } from '../../domain/lane.ts';
import { digestOfFields, type ListedMemory } from './copy-plan.ts';
import type { LastApplied } from '../journal-facts.ts';

/** A service that keeps only so many owners has forgotten some once it holds nearly that many. */
const NEARLY_FULL = 0.9;
/** Two clocks may be so far apart. */
const SLACK_MS = 5_000;

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

type Fields = Readonly<Record<string, string>>;
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

/**
 * The service shows as many newest items as it keeps, and what vanished stands before all of them. Where both sides have an item in common
 * that is said by positions; only where they have none, by the times, of which two clocks are read.
 */
function byEntries(facts: VanishedFacts): Explained {
  const { retention, source, existing } = facts;
  const { entries } = retention;
  const counts = (fields: Fields): boolean => retention.counts?.(fields) ?? true;
  if (entries === undefined) return () => false;
  const shown = source.items.filter(({ fields }) => counts(fields));
  const [oldest] = shown;
  if (oldest === undefined || shown.length < entries) return () => false;
  const fieldsOf = new Map(existing.map(({ memory, fields }) => [memory.memory_id, fields]));
  const isCounted = ({ memory_id: id }: StoredMemory): boolean => counts(fieldsOf.get(id) ?? {});
  const first = firstInCommon(facts, shown);
  if (first !== undefined) return (memory) => isCounted(memory) && memory.position < first;
  const untilMs = Date.parse(oldest.at) + SLACK_MS;
  return (memory) => isCounted(memory) && Date.parse(memory.created_at) <= untilMs;
}

/** Where the oldest item stands that both sides show. */
function firstInCommon(
  { vanished, existing }: VanishedFacts,
  shown: readonly { readonly fields: Fields }[],
): number | undefined {
  const digests = new Set(shown.map(({ fields }) => digestOfFields(fields)));
  const gone = new Set(vanished.map(({ memory_id: id }) => id));
  const common = existing.filter(
    ({ memory, fields }) => !gone.has(memory.memory_id) && digests.has(digestOfFields(fields)),
  );
  if (common.length === 0) return undefined;
  return common.reduce((first, { memory }) => Math.min(first, memory.position), Infinity);
}
