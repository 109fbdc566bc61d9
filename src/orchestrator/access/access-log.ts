import type { Logger } from 'pino';
import { messageOf } from '../../domain/errors.ts';
import { type Database, sqlstateOf } from '../../storage/database.ts';
import type { Part } from '../part.ts';
import { type AccessEntry, writeEntries } from './access-entry.ts';

interface AccessLog {
  /** Queues an entry without waiting. If the queue is full, the entry is dropped and counted. */
  note(entry: AccessEntry): void;
  /** Number of dropped entries since the start. */
  dropped(): number;
  /** Writes the queued entries. */
  stop(): Promise<void>;
}

interface AccessLogSettings {
  readonly logQueueSize: number;
  readonly logFlushMs: number;
}

interface AccessLogParts {
  readonly database: Database;
  readonly log: Logger;
}

interface Queue {
  waiting: AccessEntry[];
  dropped: number;
  /** True after a failed write, so that each outage is logged once. */
  isFailing: boolean;
}

const ROWS_AT_A_TIME = 1_000;
// The database refuses the values, so a repetition would fail as well.
const REFUSED = /^2/;

/** Writes entries in batches in the background, at most one statement at a time, and none while the queue is empty. */
export function createAccessLog(settings: AccessLogSettings, parts: AccessLogParts): AccessLog {
  const { logQueueSize, logFlushMs } = settings;
  const queue: Queue = { waiting: [], dropped: 0, isFailing: false };
  let timer: NodeJS.Timeout | undefined;
  let flushing: Promise<void> = Promise.resolve();

  function schedule(): void {
    timer = setTimeout(() => {
      flushing = flush(queue, parts).then(() => {
        timer = undefined;
        if (queue.waiting.length > 0) schedule();
      });
    }, logFlushMs);
    timer.unref();
  }

  return {
    note(entry) {
      if (queue.waiting.length >= logQueueSize) {
        queue.dropped += 1;
        return;
      }
      queue.waiting.push(entry);
      if (timer === undefined) schedule();
    },
    dropped: () => queue.dropped,
    async stop() {
      clearTimeout(timer);
      await flushing;
      await flush(queue, parts);
      clearTimeout(timer);
      const dropped = queue.dropped + queue.waiting.length;
      if (dropped > 0) parts.log.warn({ dropped }, 'Entries of the access log were dropped');
    },
  };
}

/** Writes until the queue is empty or a write fails. The rest waits for the next flush. */
async function flush(queue: Queue, parts: AccessLogParts): Promise<void> {
  while (queue.waiting.length > 0 && (await flushSome(queue, parts)));
}

async function flushSome(queue: Queue, { database, log }: AccessLogParts): Promise<boolean> {
  const entries = queue.waiting.slice(0, ROWS_AT_A_TIME);
  try {
    await writeEntries(database, entries);
    queue.isFailing = false;
  } catch (error) {
    if (!queue.isFailing) log.warn(`Writing the access log failed and will be repeated: ${messageOf(error)}`);
    queue.isFailing = true;
    if (!REFUSED.test(sqlstateOf(error) ?? '')) return false;
    queue.dropped += entries.length;
  }
  queue.waiting = queue.waiting.slice(entries.length);
  return true;
}

interface LogRetentionSettings {
  readonly logRetentionDays: number;
}

interface LogRetentionParts {
  readonly database: Database;
  readonly log: Logger;
}

const EVERY_MS = 3_600_000;
// Small enough not to delay requests.
const ROWS_DELETED_AT_A_TIME = 5_000;

const PURGE = `
delete from memory_access_logs where (log_id, timestamp) in (
  select log_id, timestamp from memory_access_logs where timestamp < now() - $1::int * interval '1 day'
  limit ${ROWS_DELETED_AT_A_TIME})
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
    let rows = ROWS_DELETED_AT_A_TIME;
    while (rows === ROWS_DELETED_AT_A_TIME && !stopped)
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
