import type { Logger } from 'pino';
import type { StatementFacts } from '../database/watched-database.ts';

const SHOWN_CHARACTERS = 1_000;
// Limits the log, so that a repeated slow statement does not fill the disk.
const MOST_PER_SECOND = 10;
const SECOND_MS = 1_000;

/** Logs slow statements. The text has placeholders instead of values. */
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
