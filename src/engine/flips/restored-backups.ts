import { ConnectionError, messageOf } from '../../domain/errors.ts';
import { isJsonObject } from '../../domain/json.ts';
import { type LaneKey, parseLaneKey, type ServiceName } from '../../domain/ids.ts';
import type { Clock } from '../../shared/clock.ts';
import { within } from '../../shared/within.ts';
import type { HoldLane } from '../lane/hold-lane.ts';
import type { Lane } from '../lane/lane.ts';
import type { Lanes } from '../lane/lanes.ts';
import type { ByPerson } from '../ports/decision-ports.ts';
import type { Emit } from '../ports/events.ts';
import type { WriteHistory } from '../ports/journal-facts.ts';
import type { Orchestrator } from '../ports/ports.ts';
import type {
  FoundOlder,
  JournalPosition,
  Position,
  RestoredLane,
  RestoredQuery,
  RestoredStore,
} from '../ports/restored-ports.ts';
import type { ServiceRuntime } from '../ports/service-runtime.ts';
import { Redelivery } from './redelivery.ts';

const TICK_MS = 1_000;
const SWEEP_EVERY_MS = 60_000;
/** Other work comes between two pages. */
const PAGE_PAUSE_MS = 20;
const CALL_TIMEOUT_MS = 2_000;
/** A lane that must be compared before it answers waits at most this long. */
const LOOK_TIMEOUT_MS = 1_000;
/**
 * A lane whose primary is legacy waits at most this long after the journal came back, over all its operations. A hung orchestrator must
 * not delay it for longer.
 */
const GRACE_MS = 500;
/** Keys that one call asks for, which is the orchestrator's limit. */
const PAGE = 1_000;

const NOWHERE: Position = { epoch: 0, generation: 0, sequence: 0 };

export interface RestoredParts {
  readonly store: RestoredStore;
  readonly orchestrator: Pick<Orchestrator, 'read' | 'batchWrite'>;
  readonly services: ReadonlyMap<ServiceName, ServiceRuntime>;
  readonly lanes: Pick<Lanes, 'of' | 'load'>;
  readonly hold: HoldLane;
  readonly history: WriteHistory;
  readonly clock: Clock;
  readonly emit: Emit;
}

/** Which connection was lost, so that its database may be another one now. */
export type Lost = 'journal' | 'orchestrator';

/**
 * Compares where the journal and the orchestrator are in each lane whose writes have moved. One of them is older if it was restored from
 * a backup. The lane then gives retryable errors until a person decides: ../README.md, "Moving the writes of a lane".
 */
export class RestoredBackups {
  readonly #parts: RestoredParts;
  readonly #redelivery: Redelivery;
  readonly #stopping = new AbortController();
  /** Lanes that wait for a decision. */
  #open = new Set<LaneKey>();
  #version = '';
  /** Lanes that were decided about, and whose rows were not read since. */
  readonly #unread = new Set<LaneKey>();
  /** Whether every lane was compared since a connection was lost. */
  #isSure = false;
  /** Whether the journal may be another one. Then lanes whose primary is legacy are compared, too. */
  #isJournalInDoubt = true;
  #isJournalAway = false;
  /** When the journal last answered after a loss. */
  #doubtedAtMs = -Infinity;
  /** Counts the losses, so that a comparison that began before a loss proves nothing after it. */
  #losses = 0;
  /** Lanes that were compared since then, one by one. */
  #compared = new Set<LaneKey>();
  /** The instance of each database that answered last. */
  readonly #databases = new Map<Lost, string>();
  #sweeping: Promise<void> | undefined;
  /** A lane whose writes have moved. With none, there is nothing to watch. */
  #watched: LaneKey | undefined;
  #sweptAtMs = -Infinity;
  #loop: Promise<void> | undefined;

  constructor(parts: RestoredParts) {
    this.#parts = parts;
    this.#redelivery = new Redelivery({
      ...parts,
      held: async (lane) => (await this.#held({ keys: [lane] })).get(lane) ?? NOWHERE,
      signal: this.#stopping.signal,
    });
  }

  /** Compares all lanes, or gives up for now: each lane is then compared before it answers. */
  async start(): Promise<void> {
    const { clock } = this.#parts;
    this.lost('journal');
    await within(this.#tick(), GRACE_MS, { what: 'comparing restored lanes' }).catch(() => undefined);
    this.#loop = this.#run(clock);
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#loop;
  }

  /** A connection was lost. What answers next may be an older copy. */
  lost(what: Lost): void {
    this.#losses += 1;
    this.#isSure = false;
    this.#compared.clear();
    if (what !== 'journal') return;
    this.#isJournalInDoubt = true;
    this.#doubtedAtMs = this.#parts.clock.now();
  }

  /** Whether the journal may be an older copy, so that what it says of deliveries proves nothing. */
  get mayJournalBeOlder(): boolean {
    return this.#isJournalInDoubt;
  }

  /** Another text after the orchestrator's database was started again, or after its tables were restored. Empty: not known. */
  get orchestratorDatabase(): string {
    return this.#databases.get('orchestrator') ?? '';
  }

  /** Where the orchestrator is in the lane, asked now. @throws CrossfadeError */
  async placeOf({ key }: Lane, deadlineAtMs: number): Promise<Position> {
    return (await this.#held({ keys: [key] }, deadlineAtMs)).get(key) ?? NOWHERE;
  }

  /** Undefined if the lane may answer now. @throws ConnectionError effect `not_applied` */
  admit(lane: Lane): Promise<void> | undefined {
    if (this.#open.has(lane.key)) return Promise.reject(waitsForPerson());
    if (this.#isSure || this.#compared.has(lane.key)) return undefined;
    const isPassed = this.#isJournalAway || (lane.isLoaded && !this.#isGracious);
    return isPassed && lane.primary === 'legacy' ? undefined : this.#compareFirst(lane);
  }

  /** Whether a lane whose primary is legacy still waits to be compared. */
  get #isGracious(): boolean {
    return this.#isJournalInDoubt && this.#parts.clock.now() < this.#doubtedAtMs + GRACE_MS;
  }

  async #compareFirst(lane: Lane): Promise<void> {
    const losses = this.#losses;
    let isMoved = lane.primary === 'orchestrator';
    try {
      const rows = this.#parts.store.positions([lane.key]);
      const journal = await within(rows, LOOK_TIMEOUT_MS, { what: 'the journal' });
      isMoved = journal.some(({ primary }) => primary === 'orchestrator');
      if (!isMoved && !this.#isGracious) return;
      await this.#look(lane, journal, isMoved);
      if (losses === this.#losses) this.#compared.add(lane.key);
    } catch (error) {
      // Legacy answers for its own lanes, whatever the orchestrator does.
      if (isMoved && !this.#open.has(lane.key)) throw notCompared(error);
    }
    if (this.#open.has(lane.key)) throw waitsForPerson();
  }

  /** Where no lane has moved, as far as is known, all lanes are compared in one look. */
  async #look(lane: Lane, journal: readonly JournalPosition[], isMoved: boolean): Promise<void> {
    const waitMs = isMoved ? LOOK_TIMEOUT_MS : this.#doubtedAtMs + GRACE_MS - this.#parts.clock.now();
    const isAlone = this.#watched === undefined && !isMoved;
    const looked = isAlone ? this.#sweep() : this.#compare([lane.key], journal);
    await within(looked, waitMs, { what: 'the orchestrator' });
  }

  list(query: RestoredQuery): Promise<readonly RestoredLane[]> {
    return this.#parts.store.list(query);
  }

  counts(): Promise<ReadonlyMap<ServiceName, number>> {
    return this.#parts.store.counts();
  }

  backedUp(untilMs: number, by: ByPerson): Promise<void> {
    return this.#parts.store.backedUp(untilMs, by);
  }

  /**
   * A person decides that the lanes answer again, with what the orchestrator holds. Another backup may have been restored since they were
   * listed, so the orchestrator is given first what it lacks now.
   * @returns the lanes that do. Others are not listed, or the orchestrator is still being given their writes, or lacks more than was listed
   * @throws StorageError, or CrossfadeError if the orchestrator is away
   */
  async accept(
    service: ServiceName,
    named: readonly LaneKey[] | 'all',
    by: ByPerson,
  ): Promise<readonly LaneKey[]> {
    const { store } = this.#parts;
    const limit = (await store.counts()).get(service) ?? 0;
    const listed = await store.list({ service, isOpen: true, limit });
    const asked = new Set(named === 'all' ? listed.map(({ lane }) => lane) : named);
    const lanes: LaneKey[] = [];
    for (const row of listed) if (asked.has(row.lane) && (await this.#isAsListed(row))) lanes.push(row.lane);
    const accepted: LaneKey[] = [];
    for (let from = 0; from < lanes.length; from += PAGE) {
      const page = lanes.slice(from, from + PAGE);
      const held = await this.#held({ keys: page });
      const settled = page.map((lane) => ({ lane, orchestrator: held.get(lane) ?? NOWHERE }));
      accepted.push(...(await store.accept(service, settled, by)));
    }
    await this.#reload();
    return accepted;
  }

  /** Whether the orchestrator has what the list says. It may have been restored once more. */
  async #isAsListed({ lane, older, redelivered, isIncomplete }: RestoredLane): Promise<boolean> {
    if (older === 'journal' || redelivered === undefined) return true;
    return (await this.#redelivery.again(lane)) || isIncomplete;
  }

  async #run(clock: Clock): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      await clock.sleep(TICK_MS, signal);
      if (!signal.aborted) await this.#tick();
    }
  }

  /** Never rejects. What fails is tried again with the next tick. */
  async #tick(): Promise<void> {
    const isJournalThere = await this.#attempt('journal', () => this.#reload());
    if (isJournalThere && this.#isJournalAway) this.lost('journal');
    this.#isJournalAway = !isJournalThere;
    if (this.#isJournalAway) return;
    await this.#attempt(undefined, () => this.#readDecided());
    await this.#attempt('orchestrator', () => this.#watch());
    const isDue = this.#parts.clock.now() - this.#sweptAtMs >= SWEEP_EVERY_MS;
    if (!this.#isSure || isDue) await this.#attempt(undefined, () => this.#sweep());
    if (this.#open.size > 0) await this.#attempt(undefined, () => this.#redelivery.all());
  }

  async #attempt(watched: Lost | undefined, work: () => Promise<void>): Promise<boolean> {
    try {
      await work();
      return true;
    } catch (error) {
      if (watched !== undefined) this.lost(watched);
      this.#parts.emit('restored:not_compared', { reason: messageOf(error) });
      return false;
    }
  }

  #noticed(what: Lost, database: string): void {
    const known = this.#databases.get(what);
    this.#databases.set(what, database);
    if (known !== undefined && known !== database) this.lost(what);
  }

  /** What other replicas have found, and what people have decided. */
  async #reload(): Promise<void> {
    const { store } = this.#parts;
    const { list: version, database } = await store.version();
    this.#noticed('journal', database);
    if (version === this.#version) return;
    const before = this.#open;
    this.#open = new Set(await store.open());
    this.#version = version;
    // The journal says where such a lane is now.
    for (const key of before) {
      if (this.#open.has(key)) continue;
      this.#laneOf(key).forget();
      this.#unread.add(key);
    }
  }

  /** Its work continues, for example its sends to legacy, also if no agent uses it. */
  async #readDecided(): Promise<void> {
    for (const key of this.#unread) {
      const { service, owner } = parseLaneKey(key);
      await this.#parts.lanes.load(service, owner);
      this.#unread.delete(key);
    }
  }

  /** A restored orchestrator was away for a moment. */
  async #watch(): Promise<void> {
    if (this.#watched !== undefined) await this.#held({ keys: [this.#watched] });
  }

  /** One at a time. */
  #sweep(): Promise<void> {
    this.#sweeping ??= this.#sweepAll().finally(() => {
      this.#sweeping = undefined;
    });
    return this.#sweeping;
  }

  /** Compares every lane whose writes have moved, according to the journal or to the orchestrator. */
  async #sweepAll(): Promise<void> {
    const losses = this.#losses;
    let watched: LaneKey | undefined;
    for (let after = ''; ;) {
      const journal = await this.#parts.store.moved(after);
      const keys = journal.map(({ lane }) => lane);
      const last = keys.at(-1);
      if (last === undefined) break;
      await this.#compare(keys, journal);
      [watched, after] = [last, last];
      await this.#pause();
    }
    for (let after = ''; ;) {
      const held = await this.#held({ moved_after: after });
      const last = [...held.keys()].at(-1);
      if (last === undefined) break;
      await this.#judgeJournal(held, await this.#parts.store.positions([...held.keys()]));
      [watched, after] = [last, last];
      await this.#pause();
    }
    this.#watched = watched;
    this.#sweptAtMs = this.#parts.clock.now();
    if (losses !== this.#losses) return;
    this.#isSure = true;
    this.#isJournalInDoubt = false;
    this.#compared.clear();
  }

  #pause(): Promise<void> {
    return this.#parts.clock.sleep(PAGE_PAUSE_MS, this.#stopping.signal);
  }

  /** @param journal the rows of these lanes, read before this call, so that the orchestrator must have all they say */
  async #compare(keys: readonly LaneKey[], journal: readonly JournalPosition[]): Promise<void> {
    const held = await this.#held({ keys });
    const found = journal.flatMap((row) => orchestratorOlder(row, held.get(row.lane)));
    await this.#report(found);
    await this.#judgeJournal(held, journal);
    await this.#mark(held, journal);
  }

  /** Where the orchestrator is beyond the journal, the journal is read again: a write may have come meanwhile. */
  async #judgeJournal(
    held: ReadonlyMap<LaneKey, Position>,
    journal: readonly JournalPosition[],
  ): Promise<void> {
    const known = new Map(journal.map((row) => [row.lane, row]));
    const ahead = [...held].flatMap(([lane, at]) => (isBeyond(at, known.get(lane)) ? [lane] : []));
    if (ahead.length === 0) return;
    const rows = await this.#parts.store.positions(ahead);
    const newer = new Map(rows.map((row) => [row.lane, row]));
    await this.#report(
      ahead.flatMap((lane) => {
        const [at, place] = [held.get(lane), newer.get(lane)];
        if (at === undefined || !isBeyond(at, place)) return [];
        return [{ lane, older: 'journal', journal: place ?? NOWHERE, orchestrator: at } as const];
      }),
    );
  }

  async #report(older: readonly FoundOlder[]): Promise<void> {
    const { store, services, emit } = this.#parts;
    const found = older.filter(
      ({ lane }) => !this.#open.has(lane) && services.has(parseLaneKey(lane).service),
    );
    if (found.length === 0) return;
    // They do not answer from now on, also if the journal does not take the list.
    for (const { lane } of found) this.#open.add(lane);
    this.#version = '';
    const isNew = new Set(await store.found(found));
    for (const { lane, older: which } of found)
      if (isNew.has(lane)) emit('lane:restored', { service: parseLaneKey(lane).service, lane, older: which });
  }

  async #mark(held: ReadonlyMap<LaneKey, Position>, journal: readonly JournalPosition[]): Promise<void> {
    const seen = journal.flatMap(({ lane, primary, mark }) => {
      const at = held.get(lane);
      if (primary === 'legacy' || at === undefined || this.#open.has(lane)) return [];
      return mark !== undefined && isSame(mark, at) ? [] : [{ lane, ...at }];
    });
    if (seen.length > 0) await this.#parts.store.mark(seen);
  }

  /** Where the orchestrator is in these lanes, or in the next of all that have moved. Lanes that it does not know are left out. */
  async #held(
    payload: { readonly keys?: readonly LaneKey[]; readonly moved_after?: string },
    deadlineAtMs = this.#parts.clock.now() + CALL_TIMEOUT_MS,
  ): Promise<ReadonlyMap<LaneKey, Position>> {
    const { orchestrator } = this.#parts;
    const options = { purpose: 'probe', deadlineAtMs } as const;
    const { data } = await orchestrator.read({ action: 'lane_positions', payload }, options);
    this.#noticed('orchestrator', String(data['database']));
    const lanes = Array.isArray(data['lanes']) ? data['lanes'].filter(isJsonObject) : [];
    return new Map(
      lanes.map(({ key, epoch, generation, sequence }) => [
        String(key) as LaneKey,
        { epoch: Number(epoch), generation: Number(generation), sequence: Number(sequence ?? 0) },
      ]),
    );
  }

  #laneOf(key: LaneKey): Lane {
    const { service, owner } = parseLaneKey(key);
    return this.#parts.lanes.of(service, owner);
  }
}

function isSame(a: Position, b: Position): boolean {
  return a.epoch === b.epoch && a.generation === b.generation && a.sequence === b.sequence;
}

/** Whether a position is below another one that was reached before. */
function isBelow(at: Position, reached: Position): boolean {
  if (at.generation !== reached.generation) return at.generation < reached.generation;
  return at.sequence < reached.sequence || at.epoch < reached.epoch;
}

/** The orchestrator lacks a write that it applied as the primary, or what it was seen to hold. */
function orchestratorOlder(journal: JournalPosition, held: Position = NOWHERE): readonly FoundOlder[] {
  if (journal.primary === 'legacy') return [];
  const { lane, applied, mark, generation } = journal;
  const lacksWrite = applied > 0 && isBelow(held, { epoch: held.epoch, generation, sequence: applied });
  if (!lacksWrite && (mark === undefined || !isBelow(held, mark))) return [];
  return [{ lane, older: 'orchestrator', journal, orchestrator: held }];
}

/** Whether the orchestrator has something of the lane that the journal never gave it. */
function isBeyond(held: Position, journal: JournalPosition | undefined): boolean {
  if (journal === undefined || held.epoch > journal.epoch) return held.epoch > 0;
  return journal.primary === 'orchestrator' && isBelow({ ...journal, epoch: held.epoch }, held);
}

function waitsForPerson(): ConnectionError {
  return new ConnectionError('a restored database lacks something of the lane', {
    effect: 'not_applied',
    reason: 'restored',
  });
}

function notCompared(cause: unknown): ConnectionError {
  return new ConnectionError('the lane was not compared yet after a lost connection', {
    effect: 'not_applied',
    reason: 'not_compared',
    cause,
  });
}
