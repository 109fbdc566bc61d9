/** The orchestrator's limits: characters per tag, tags per item. */
const TAG_LENGTH = 64;
const TAG_COUNT = 256;

const NUL = '\u0000';
const HALF_AT_END = /[\ud800-\udbff]$/;

/**
 * Tags that the orchestrator accepts: each once, cut to 64 characters, without those that it cannot store. `own` tags come from
 * the definition. `given` tags come from agents, and must not equal Crossfade's own marks, which are in `reserved`.
 */
export function tagsOf(
  own: readonly string[],
  given: readonly unknown[],
  reserved: readonly string[] = [],
): string[] {
  const marks = new Set(['forgotten', ...reserved]);
  const taken = given
    .filter((tag): tag is string => typeof tag === 'string' && !tag.includes(NUL))
    .map((tag) => trimTag(tag))
    .filter((tag) => tag !== '' && !marks.has(tag));
  return [...new Set([...own.map((tag) => trimTag(tag)), ...taken])].slice(0, TAG_COUNT);
}

function trimTag(tag: string): string {
  return tag.slice(0, TAG_LENGTH).replace(HALF_AT_END, '');
}
