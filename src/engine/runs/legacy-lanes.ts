import { messageOf } from '../../domain/errors.ts';
import type { Owner } from '../../domain/ids.ts';
import type { LegacyLane } from '../../domain/service-definition.ts';
import type { ServiceRuntime } from '../ports/service-runtime.ts';

/** A lane as the store shows it, or why it cannot be read. */
export type LegacyReading = { readonly lane: LegacyLane } | { readonly problem: string };

const NOTHING: LegacyLane = { exists: false, items: [] };

/**
 * Reads lanes from the legacy store, in one reading if the definition supports that. Never throws. A lane that cannot be read has
 * a reason.
 */
export async function readLegacyLanes(
  service: ServiceRuntime,
  owners: readonly Owner[],
): Promise<ReadonlyMap<Owner, LegacyReading>> {
  const { definition, access, context } = service;
  try {
    const lanes = await definition.lanes.readMany?.(owners, access, context);
    if (lanes !== undefined)
      return new Map(owners.map((owner) => [owner, { lane: lanes.get(owner) ?? NOTHING }]));
  } catch {
    // One unreadable lane must not hide the others, so each is then read by itself.
  }
  const readings = new Map<Owner, LegacyReading>();
  for (const owner of owners) readings.set(owner, await readOne(service, owner));
  return readings;
}

async function readOne(
  { definition, access, context }: ServiceRuntime,
  owner: Owner,
): Promise<LegacyReading> {
  try {
    return { lane: await definition.lanes.readLegacy(owner, access, context) };
  } catch (error) {
    return { problem: problemOf(error) };
  }
}

/** Why something could not be read. The parser's own message is not used, because it quotes the text. */
export function problemOf(error: unknown): string {
  return error instanceof SyntaxError ? 'the JSON is incomplete or invalid' : messageOf(error);
}
