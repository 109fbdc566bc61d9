import { StorageError } from '../../src/domain/errors.ts';
import type { LaneKey, OperationId, ReplicaId } from '../../src/domain/ids.ts';
import type { Outcome } from '../../src/domain/outcome.ts';
import type { Intent } from '../../src/engine/ports/ports.ts';
import type {
  NotedShares,
  SpilledOutcome,
  SpillFacts,
  SpillRecord,
  SpillStore,
} from '../../src/engine/ports/spill-ports.ts';
import { numberOf } from './lane-row.ts';
import type { Owner } from './scheduler.ts';
import type { World } from './world.ts';

/** A replica's own disk: what a crash of its process leaves there. */
export class SpillDisk {
  readonly id: string;
  records: SpillRecord[] = [];
  /** Number of the last record before them. */
  after = 0;
  isPrepared = false;
  shares: NotedShares = { percentages: {}, atMs: 0 };
  isDamaged = false;

  constructor(id: string) {
    this.id = id;
  }

  get last(): number {
    return this.after + this.records.length;
  }

  /** Whether a write of an agent is noted down there. */
  holds(lane: LaneKey, number: number): boolean {
    return this.records.some(
      (record) => record.kind === 'intent' && record.lane === lane && numberOf(record.request) === number,
    );
  }

  /** Its last records become unreadable. */
  damage(records: number): void {
    if (this.records.length === 0) return;
    this.records.splice(-records);
    this.isDamaged = true;
  }
}

const LINGER_MS = 50;
const BYTES_OF_A_RECORD = 200;

/** `storage/spill/spill-file.ts` as one process has it: an fsync takes its time, and what was not synced dies with the process. */
export class SimSpill implements SpillStore {
  readonly #world: World;
  readonly #owner: Owner;
  readonly #disk: SpillDisk;
  readonly #outcomes: Omit<Extract<SpillRecord, { kind: 'outcome' }>, 'number'>[] = [];
  #lingers = false;
  #replayedIntents = 0;

  constructor(world: World, owner: Owner, disk: SpillDisk) {
    this.#world = world;
    this.#owner = owner;
    this.#disk = disk;
  }

  get id(): string {
    return this.#disk.id;
  }

  get hasHistory(): boolean {
    return this.#disk.isPrepared;
  }

  get isDamaged(): boolean {
    return this.#disk.isDamaged;
  }

  facts(): SpillFacts {
    const intents = this.#disk.records.filter(({ kind }) => kind === 'intent').length;
    return {
      writes: intents - this.#replayedIntents,
      bytes: this.#disk.records.length * BYTES_OF_A_RECORD,
      limitBytes: Infinity,
      oldestAtMs: undefined,
    };
  }

  async prepare(progress: number): Promise<void> {
    await this.#sync(() => {
      this.#disk.isPrepared = true;
      if (progress <= this.#disk.last) return;
      this.#disk.isDamaged = true;
      this.#disk.records = [];
      this.#disk.after = progress;
    });
  }

  get shares(): NotedShares {
    return this.#disk.shares;
  }

  async noteShares(shares: NotedShares): Promise<void> {
    await this.#sync(() => {
      this.#disk.shares = shares;
    });
  }

  async append(intent: Intent, replica: ReplicaId): Promise<void> {
    const { faults } = this.#world;
    if (faults.happens('spill_full', 0.05))
      throw new StorageError('No space is left', { effect: 'not_applied', reason: 'spill_full' });
    await this.#sync(() => this.#write({ ...intent, kind: 'intent', replica }));
  }

  recordOutcome(settled: Omit<SpilledOutcome, 'kind' | 'number'>): void {
    this.#outcomes.push({ kind: 'outcome', ...settled });
    if (this.#lingers) return;
    this.#lingers = true;
    setTimeout(() => {
      this.#lingers = false;
      void this.flush();
    }, LINGER_MS);
  }

  async flush(): Promise<void> {
    if (this.#outcomes.length > 0) await this.#sync(() => undefined);
  }

  async page(after: number, bytes: number): Promise<readonly SpillRecord[]> {
    await this.#sync(() => undefined);
    const from = Math.max(0, after - this.#disk.after);
    return this.#disk.records.slice(from, from + Math.max(1, Math.floor(bytes / BYTES_OF_A_RECORD / 1_000)));
  }

  async outcomes(after: number, of: ReadonlySet<OperationId>): Promise<ReadonlyMap<OperationId, Outcome>> {
    await this.#sync(() => undefined);
    const behind = this.#disk.records.filter(({ number }) => number > after);
    return new Map(
      behind.flatMap((record) =>
        record.kind === 'outcome' && of.has(record.operationId)
          ? [[record.operationId, record.outcome] as const]
          : [],
      ),
    );
  }

  async replayed(through: number): Promise<void> {
    await this.#sync(() => {
      const reached = this.#disk.records.slice(0, through - this.#disk.after);
      this.#replayedIntents = reached.filter(({ kind }) => kind === 'intent').length;
      if (through < this.#disk.last) return;
      this.#disk.after = Math.max(through, this.#disk.last);
      this.#disk.records = [];
      this.#replayedIntents = 0;
    });
  }

  async mended(): Promise<void> {
    await this.#sync(() => {
      this.#disk.isDamaged = false;
    });
  }

  #write(
    record: SpillRecord extends infer Kind
      ? Kind extends SpillRecord
        ? Omit<Kind, 'number'>
        : never
      : never,
  ): void {
    this.#disk.records.push({ ...record, number: this.#disk.last + 1 } as SpillRecord);
  }

  /** One fsync, which takes what waits with it. */
  #sync(change: () => void): Promise<void> {
    const { scheduler, random } = this.#world;
    return new Promise((resolve) => {
      scheduler.afterFor(this.#owner, random.next() * 5, {
        what: 'spill',
        run: () => {
          change();
          for (const outcome of this.#outcomes.splice(0)) this.#write(outcome);
          scheduler.afterFor(this.#owner, random.next() * 5, { what: 'spilled', run: resolve });
        },
      });
    });
  }
}
