import type { Database } from '../storage/database.ts';

export interface PurgeSettings {
  /** @defaultValue 60000 */
  readonly everyMs?: number;
  /** How long the tombstone of a deleted memory stays. @defaultValue 30 days */
  readonly keepTombstonesMs?: number;
}

export interface Purge {
  start(): Promise<void>;
  stop(): Promise<void>;
}

const DAY_MS = 86_400_000;
// Small enough not to hold anybody up; what is left over goes with the next statement.
const ROWS_AT_A_TIME = 1_000;

const PURGE = `
delete from memory_entries where memory_id in (
  select memory_id from memory_entries
  where expires_at <= now() or (not is_active and deleted_at <= now() - $1::float8 * interval '1 millisecond')
  limit ${ROWS_AT_A_TIME} for update skip locked)
returning 1`;

/** Removes, in the background, what has expired and the tombstones that have served their time. Readers never saw either. */
export function createPurge(
  database: Database,
  settings: PurgeSettings,
  onError: (error: unknown) => void,
): Purge {
  const { everyMs = 60_000, keepTombstonesMs = 30 * DAY_MS } = settings;
  let timer: NodeJS.Timeout | undefined;
  let stopped = false;
  let running: Promise<void> = Promise.resolve();

  async function purge(): Promise<void> {
    let rows = ROWS_AT_A_TIME;
    while (rows === ROWS_AT_A_TIME && !stopped)
      rows = (await database.query(PURGE, [keepTombstonesMs])).length;
  }

  function schedule(): void {
    timer = setTimeout(() => {
      running = purge()
        .catch(onError)
        .then(() => {
          if (!stopped) schedule();
        });
    }, everyMs);
    timer.unref();
  }

  return {
    async start() {
      schedule();
    },
    async stop() {
      stopped = true;
      clearTimeout(timer);
      await running;
    },
  };
}
