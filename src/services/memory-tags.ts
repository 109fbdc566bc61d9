/** The orchestrator's limits: characters of a tag, tags of an item. */
const TAG_LENGTH = 64;
const TAG_COUNT = 256;

const NUL = '\u0000';
const HALF_AT_END = /[\ud800-\udbff]$/;

/**
 * Tags that the orchestrator takes: each once, cut to 64 characters, without those it cannot store. `own` are the definition's;
 * `given` come from agents and may not pretend to be the migration's marks, which stand in `reserved`.
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
