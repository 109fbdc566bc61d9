import type { Logger } from 'pino';
import { messageOf } from '../../domain/errors.ts';
import type { Database } from '../../storage/database.ts';
import type { Part } from '../part.ts';

export interface LogRetentionSettings {
  readonly logRetentionDays: number;
}

export interface LogRetentionParts {
  readonly database: Database;
  readonly log: Logger;
}

const EVERY_MS = 3_600_000;
// Small enough not to delay requests.
const ROWS_AT_A_TIME = 5_000;

const PURGE = `
delete from memory_access_logs where (log_id, timestamp) in (
  select log_id, timestamp from memory_access_logs where timestamp < now() - $1::int * interval '1 day'
  limit ${ROWS_AT_A_TIME})
returning 1`;

/** Deletes expired entries of the access log, at the start and every hour. */
export function createLogRetention(
  { logRetentionDays }: LogRetentionSettings,
  { database, log }: LogRetentionParts,
): Part {
  let timer: NodeJS.Timeout | undefined;
  let stopped = false;
  let running: Promise<void> = Promise.resolve();

  async function purge(): Promise<void> {
    let rows = ROWS_AT_A_TIME;
    while (rows === ROWS_AT_A_TIME && !stopped)
      rows = (await database.query(PURGE, [logRetentionDays])).length;
  }

  function run(): void {
    running = purge().catch((error: unknown) =>
      log.warn(`Purging the access log failed: ${messageOf(error)}`),
    );
  }

  return {
    async start() {
      run();
      timer = setInterval(run, EVERY_MS);
      timer.unref();
    },
    async stop() {
      stopped = true;
      clearInterval(timer);
      await running;
    },
  };
}
