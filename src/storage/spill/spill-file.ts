import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { copyFile, open, readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf, StorageError } from '../../domain/errors.ts';
import type { OperationId, ReplicaId } from '../../domain/ids.ts';
import type { Outcome } from '../../domain/outcome.ts';
import type { Intent } from '../../engine/ports/ports.ts';
import type {
  NotedShares,
  SpilledOutcome,
  SpillFacts,
  SpillRecord,
  SpillStore,
} from '../../engine/ports/spill-ports.ts';
import { lockFolder } from '../folder-lock.ts';
import { GroupCommit } from '../journal/group-commit.ts';
import type { Seal } from '../seal.ts';
import { SpillLog, syncFolder, type SpillPlace } from './spill-log.ts';
import { SerialQueue } from '../../shared/serial-queue.ts';

export interface SpillSettings {
  readonly folder: string;
  /** Largest size of the file. */
  readonly limitBytes: number;
  readonly seal: Seal;
}

/** An outcome waits this long for an intent whose fsync it can share. A crash in that time only makes the outcome unknown. */
const OUTCOME_LINGER_MS = 50;
const FULL = new Set(['ENOSPC', 'EDQUOT', 'EFBIG']);

/** A record without its number, which is its place in the file. */
type Entry = SpillRecord extends infer Kind
  ? Kind extends SpillRecord
    ? Omit<Kind, 'number'>
    : never
  : never;

/** The replay position. */
interface Reached extends SpillPlace {
  /** Number of intents in the file up to this position. */
  readonly intents: number;
}

/**
 * A folder with the writes that the journal does not have yet, in one file. Group commit: all writes that arrive during one fsync share
 * the next. The folder is locked, so a second process fails at its start.
 */
export class SpillFile implements SpillStore {
  readonly #settings: SpillSettings;
  readonly #commits: GroupCommit<Entry, undefined>;
  #release: (() => void) | undefined;
  #log: SpillLog | undefined;
  #end: SpillPlace = { number: 0, offset: 0 };
  #intents = 0;
  #replayed: Reached = { number: 0, offset: 0, intents: 0 };
  #paged: Reached = this.#replayed;
  #oldestAtMs: number | undefined;
  /** Why the spill is no longer written. After a failed fsync it is unknown what was written. */
  #broken: string | undefined;
  /** Serializes flushes and the replacement of the file. */
  readonly #queue = new SerialQueue();
  #id: string = randomUUID();
  hasHistory = false;
  isDamaged = false;
  shares: NotedShares = { percentages: {}, atMs: 0 };

  constructor(settings: SpillSettings) {
    this.#settings = settings;
    this.#commits = new GroupCommit<Entry, undefined>({
      flush: (batch) => this.#queue.run(() => this.#write(batch)),
      keyOf: () => undefined,
      isUrgent: ({ kind }) => kind === 'intent',
      lingerMs: OUTCOME_LINGER_MS,
    });
  }

  get id(): string {
    return this.#id;
  }

  get #path(): string {
    return join(this.#settings.folder, 'writes.spill');
  }

  get #sharesPath(): string {
    return join(this.#settings.folder, 'shares.json');
  }

  /** The bytes after a damaged place, kept for a person. The existence of this file means that lanes must be copied. */
  get #damagedPath(): string {
    return join(this.#settings.folder, 'damaged.spill');
  }

  /** Continues the spill of an earlier process. @throws Error if the folder is in use, or the file is not a spill */
  async start(): Promise<void> {
    this.#release = lockFolder(this.#settings.folder);
    try {
      this.isDamaged = existsSync(this.#damagedPath);
      if (existsSync(this.#sharesPath))
        this.shares = notedIn(JSON.parse(await readFile(this.#sharesPath, 'utf8')));
      if (existsSync(this.#path)) await this.#takeUp(await SpillLog.open(this.#path));
    } catch (error) {
      await this.stop();
      throw error;
    }
  }

  async #takeUp(log: SpillLog): Promise<void> {
    this.#log = log;
    this.#id = log.header.id;
    this.hasHistory = true;
    const { end, intents, oldestAtMs, tornBytes } = await log.scan();
    this.#end = end;
    this.#intents = intents;
    this.#oldestAtMs = oldestAtMs;
    this.#replayed = this.#paged = { ...log.start, intents: 0 };
    if (tornBytes > 0) await this.#setAside(log);
  }

  async #setAside(log: SpillLog): Promise<void> {
    await copyFile(this.#path, this.#damagedPath);
    await syncFolder(this.#settings.folder);
    await log.cut(this.#end);
    this.isDamaged = true;
  }

  async prepare(progress: number): Promise<void> {
    await this.#queue.run(async () => {
      if (this.#log === undefined) this.#log = await this.#create(progress);
      else if (progress > this.#end.number) {
        // The journal has seen more records than the file has, so later records may be lost as well.
        this.isDamaged = true;
        await this.#renew(progress);
      }
    });
    this.hasHistory = true;
  }

  async #create(after: number): Promise<SpillLog> {
    const log = await SpillLog.create(this.#path, { id: this.#id, after });
    this.#end = log.start;
    this.#intents = 0;
    this.#oldestAtMs = undefined;
    this.#replayed = this.#paged = { ...log.start, intents: 0 };
    return log;
  }

  async stop(): Promise<void> {
    if (this.#log !== undefined) await this.#commits.drain();
    await this.#log?.close();
    this.#log = undefined;
    this.#release?.();
    this.#release = undefined;
  }

  facts(): SpillFacts {
    const { limitBytes } = this.#settings;
    const writes = this.#intents - this.#replayed.intents;
    return { writes, bytes: this.#end.offset, limitBytes, oldestAtMs: this.#oldestAtMs };
  }

  async append(intent: Intent, replica: ReplicaId): Promise<void> {
    const request = this.#settings.seal.seal(intent.request);
    await this.#commits.add({ ...intent, kind: 'intent', request, replica });
  }

  recordOutcome(settled: Omit<SpilledOutcome, 'kind' | 'number'>): void {
    // Without the outcome the write is unknown, and its lane is dirty anyway.
    this.#commits.add({ kind: 'outcome', ...settled }).catch(() => undefined);
  }

  async noteShares(shares: NotedShares): Promise<void> {
    try {
      await this.#queue.run(() => replaceFile(this.#sharesPath, JSON.stringify(shares)));
    } catch (error) {
      throw failure(`Cannot write ${this.#sharesPath}: ${messageOf(error)}`, 'spill_failed');
    }
    await syncFolder(this.#settings.folder);
    this.shares = shares;
  }

  flush(): Promise<void> {
    return this.#commits.flushed();
  }

  async #write(batch: readonly Entry[]): Promise<readonly undefined[]> {
    const log = this.#log;
    if (log === undefined || this.#broken !== undefined)
      throw failure(`Cannot write to the spill: ${this.#broken ?? 'it is not open'}`, 'spill_failed');
    const first = this.#end.number + 1;
    const records = batch.map((entry, index) => ({ ...entry, number: first + index }) as SpillRecord);
    this.#refuseWhenFull(records);
    try {
      this.#end = await log.append(this.#end, records);
    } catch (error) {
      throw await this.#undone(log, error);
    }
    for (const record of records) {
      if (record.kind !== 'intent') continue;
      this.#intents += 1;
      this.#oldestAtMs ??= record.acceptedAtMs;
    }
    return [];
  }

  #refuseWhenFull(records: readonly SpillRecord[]): void {
    const { limitBytes } = this.#settings;
    const bytes = records.reduce((sum, record) => sum + ('request' in record ? record.request.length : 0), 0);
    if (this.#end.offset + bytes > limitBytes)
      throw failure(
        `The spill has reached its limit of ${limitBytes} bytes (journal.spillLimitBytes)`,
        'spill_full',
      );
  }

  /** The write was not sent. Its remaining bytes must not precede the next record. */
  async #undone(log: SpillLog, error: unknown): Promise<StorageError> {
    const code = (error as NodeJS.ErrnoException).code ?? '';
    await log.cut(this.#end).catch((cause: unknown) => {
      this.#broken = messageOf(cause);
    });
    const reason = FULL.has(code) ? 'spill_full' : 'spill_failed';
    if (reason === 'spill_failed') this.#broken = messageOf(error);
    return failure(`Cannot write to the spill: ${messageOf(error)}`, reason);
  }

  async page(after: number, bytes: number): Promise<readonly SpillRecord[]> {
    const log = this.#log;
    if (log === undefined || after >= this.#end.number) return [];
    const records: SpillRecord[] = [];
    let place: Reached = after === this.#paged.number ? this.#paged : { ...log.start, intents: 0 };
    let size = 0;
    const untilOffset = this.#end.offset;
    for await (const next of log.read(place)) {
      if (next.after.offset > untilOffset) break;
      const isIntent = next.record.kind === 'intent';
      const length = next.after.offset - place.offset;
      place = { ...next.after, intents: place.intents + (isIntent ? 1 : 0) };
      if (next.record.number <= after) continue;
      records.push(next.record);
      size += length;
      if (size >= bytes) break;
    }
    this.#paged = place;
    return records;
  }

  async outcomes(after: number, of: ReadonlySet<OperationId>): Promise<ReadonlyMap<OperationId, Outcome>> {
    const found = new Map<OperationId, Outcome>();
    const log = this.#log;
    if (log === undefined) return found;
    const untilOffset = this.#end.offset;
    const from = after === this.#replayed.number ? this.#replayed : log.start;
    // These records are read again as pages, so the page position stays.
    for await (const { record, after: place } of log.read(from)) {
      if (place.offset > untilOffset || found.size === of.size) break;
      if (record.kind === 'outcome' && record.number > after && of.has(record.operationId))
        found.set(record.operationId, record.outcome);
    }
    return found;
  }

  async replayed(through: number): Promise<void> {
    await this.#queue.run(async () => {
      if (this.#log === undefined) return;
      const isAll = through >= this.#end.number;
      if (isAll && this.#end.offset > this.#log.start.offset)
        return this.#renew(Math.max(through, this.#end.number));
      if (through === this.#paged.number) this.#replayed = this.#paged;
    });
    if (this.facts().writes === 0) this.#oldestAtMs = undefined;
  }

  async #renew(after: number): Promise<void> {
    const before = this.#log;
    try {
      this.#log = await this.#create(after);
    } catch {
      // A full disk has no space for another file. The journal has every record of this file, so the file is cut.
      await before?.cut(before.start);
      this.#log = await this.#create(after);
    }
    await before?.close();
    // The file is empty and the disk has space again.
    this.#broken = undefined;
  }

  async mended(): Promise<void> {
    if (!this.isDamaged) return;
    const kept = join(this.#settings.folder, `damaged-${new Date().toISOString().replaceAll(':', '')}.kept`);
    await rename(this.#damagedPath, kept);
    await syncFolder(this.#settings.folder);
    this.isDamaged = false;
  }
}

/** An earlier version noted percentages without a time. */
function notedIn(file: unknown): NotedShares {
  const noted = file as Partial<NotedShares> & Readonly<Record<string, number>>;
  return noted.percentages === undefined
    ? { percentages: noted, atMs: 0 }
    : { percentages: noted.percentages, atMs: noted.atMs ?? 0 };
}

async function replaceFile(path: string, text: string): Promise<void> {
  const fresh = `${path}.new`;
  const handle = await open(fresh, 'w', 0o600);
  try {
    await handle.writeFile(text);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(fresh, path);
}

function failure(message: string, reason: 'spill_full' | 'spill_failed'): StorageError {
  return new StorageError(message, { effect: 'not_applied', reason });
}
