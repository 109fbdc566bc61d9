import { messageOf } from '../domain/errors.ts';
import type { Latch } from '../engine/ports/finding.ts';
import { within } from '../shared/within.ts';

/** One part of a bundle, gathered on demand. */
export type BundleSection = () => unknown;

/** Maximum size of a bundle, bytes of its JSON text. Small enough for a ticket or a mail. */
const MOST_BYTES = 256 * 1024;
/** A section that takes longer is left out, because the database may be the cause of the trip. */
const SECTION_MS = 5_000;

/**
 * What was known when a latch was set, as JSON text. A section that cannot be gathered is replaced by the reason. A long one is
 * cut.
 */
export async function gatherBundle(
  latch: Latch,
  sections: Readonly<Record<string, BundleSection>>,
): Promise<string> {
  const gathered = await Promise.all(
    Object.entries(sections).map(async ([name, section]) => [name, await gathering(section)] as const),
  );
  return fitted({ bundle: latch.id, service: latch.service, latch, ...Object.fromEntries(gathered) });
}

async function gathering(section: BundleSection): Promise<unknown> {
  const what = (): Error => new Error(`not gathered within ${SECTION_MS} ms`);
  try {
    return await within(Promise.resolve().then(section), SECTION_MS, { what });
  } catch (error) {
    return { missing: messageOf(error) };
  }
}

/** A lane's key names its owner, so bundles leave it out. The operations lead to the lane. */
const withoutLanes = (name: string, value: unknown): unknown =>
  name === 'lane' && typeof value === 'string' ? undefined : value;

/** Halves the longest section repeatedly. Lists keep their beginning, where the most important entries are. */
function fitted(bundle: Readonly<Record<string, unknown>>): string {
  const parts: Record<string, unknown> = { ...bundle };
  const cut: Record<string, string> = {};
  for (;;) {
    const text = JSON.stringify({ ...parts, ...(Object.keys(cut).length > 0 && { cut }) }, withoutLanes);
    if (Buffer.byteLength(text) <= MOST_BYTES) return text;
    const longest = longestOf(parts);
    const section = parts[longest];
    if (Array.isArray(section) && section.length > 1) {
      const half = Math.ceil(section.length / 2);
      parts[longest] = section.slice(0, half);
      cut[longest] = `only the first ${half} are here`;
    } else {
      parts[longest] = null;
      cut[longest] = 'too long for the bundle';
    }
  }
}

function longestOf(parts: Readonly<Record<string, unknown>>): string {
  const lengths = Object.entries(parts).map(([name, part]) => ({
    name,
    length: (JSON.stringify(part) ?? '').length,
  }));
  return lengths.reduce((longest, one) => (one.length > longest.length ? one : longest)).name;
}
