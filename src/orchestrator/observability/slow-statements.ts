import type { Logger } from 'pino';
import type { StatementFacts } from '../database/watched-database.ts';

const SHOWN_CHARACTERS = 1_000;
// One bad plan in a loop must not fill the disk.
const MOST_PER_SECOND = 10;
const SECOND_MS = 1_000;

/** Writes down statements that took long: their text, in which values are placeholders, and nothing of the values. */
export function createSlowLog(
  slowQueryMs: number,
  log: Logger,
): { note(statement: StatementFacts): boolean } {
  let second = 0;
  let written = 0;
  return {
    /** Whether it was slow. */
    note({ sql, durationMs, hasFailed }) {
      if (durationMs < slowQueryMs) return false;
      const now = Math.floor(performance.now() / SECOND_MS);
      if (now !== second) written = 0;
      second = now;
      written += 1;
      if (written > MOST_PER_SECOND) return true;
      const statement = sql.replaceAll(/\s+/g, ' ').trim().slice(0, SHOWN_CHARACTERS);
      log.warn({ duration_ms: Math.round(durationMs), failed: hasFailed, statement }, 'slow statement');
      return true;
    },
  };
}
