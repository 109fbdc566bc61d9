import type { Database } from '../../storage/database.ts';
import type { Part } from '../part.ts';
import type { StorageSettings } from '../settings.ts';

type PurgeSettings = Pick<StorageSettings, 'purgeEveryMs' | 'keepTombstonesSeconds' | 'batchSize'>;

const KEPT_SINCE = `now() - $1::float8 * interval '1 second'`;
/** How long the answer of a write with a request_id is kept. */
const KEEP_ANSWERS_SECONDS = 86_400;

interface Purging {
  readonly table: string;
  readonly key: string;
  /** Which rows to delete; `$1` is `keepSeconds`. */
  readonly condition: string;
  keepSeconds(settings: PurgeSettings): number;
}

const PURGED: readonly Purging[] = [
  {
    table: 'memory_entries',
    key: 'memory_id',
    condition: `expires_at <= now() or (not is_active and deleted_at <= ${KEPT_SINCE})`,
    keepSeconds: ({ keepTombstonesSeconds }) => keepTombstonesSeconds,
  },
  {
    table: 'user_profiles',
    key: 'user_id',
    condition: `not is_active and updated_at <= ${KEPT_SINCE}`,
    keepSeconds: ({ keepTombstonesSeconds }) => keepTombstonesSeconds,
  },
  {
    table: 'agent_states',
    key: 'state_id',
    condition: `expires_at <= ${KEPT_SINCE}`,
    keepSeconds: () => 0,
  },
  {
    table: 'idempotency_keys',
    key: 'key',
    condition: `created_at <= ${KEPT_SINCE}`,
    keepSeconds: () => KEEP_ANSWERS_SECONDS,
  },
];

// Deletes few rows per statement, so that requests are not delayed. The next statement continues.
function statementOf({ table, key, condition }: Purging): string {
  return `delete from ${table} where ${key} in (
    select ${key} from ${table} where ${condition} limit $2::int for update skip locked)
  returning 1`;
}

/** Deletes expired memories, old tombstones and old answers in the background. */
export function createPurge(
  database: Database,
  settings: PurgeSettings,
  onError: (error: unknown) => void,
): Part {
  let timer: NodeJS.Timeout | undefined;
  let stopped = false;
  let running: Promise<void> = Promise.resolve();

  async function purge(): Promise<void> {
    const { batchSize } = settings;
    for (const purging of PURGED) {
      const values = [purging.keepSeconds(settings), batchSize];
      let rows = batchSize;
      while (rows === batchSize && !stopped)
        rows = (await database.query(statementOf(purging), values)).length;
    }
  }

  function schedule(): void {
    timer = setTimeout(() => {
      running = purge()
        .catch(onError)
        .then(() => {
          if (!stopped) schedule();
        });
    }, settings.purgeEveryMs);
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
