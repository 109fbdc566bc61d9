/** Set by vitest.config.ts: which cases of a file are run. Without it, all of them. */
const part = process.env['CROSSFADE_TEST_CASES'];

/**
 * The cases of a table that this run is for: the quick tier runs those that `isQuick` chooses, and the system tier the others.
 * A file that calls this is in the quick tier, and `test/tiers.ts` sees to it that the system tier runs it once more.
 */
export function casesOfTier<Case>(cases: readonly Case[], isQuick: (one: Case) => boolean): readonly Case[] {
  if (part === 'quick') return cases.filter(isQuick);
  return part === 'rest' ? cases.filter((one) => !isQuick(one)) : cases;
}

const DATABASE_KINDS = ['pglite', 'postgres'] as const;

export type DatabaseKind = (typeof DATABASE_KINDS)[number];

/** PostgreSQL in the quick tier, because a database of the shared server is made in no time; PGlite in the system tier. */
export const DATABASES = casesOfTier(DATABASE_KINDS, (kind) => kind === 'postgres');
