import { ConnectionError, StorageError } from '../../domain/errors.ts';
import type { LaneKey, SessionId } from '../../domain/ids.ts';
import { encodeJson, isJsonObject, mostBytesOf } from '../../domain/json.ts';
import type { OrchestratorWrite } from '../../domain/orchestrator-call.ts';
import type { Clock } from '../../shared/clock.ts';
import type { Orchestrator, OrchestratorOptions, WriteAnswer } from '../ports/ports.ts';
import type { HeldPosition } from './held-sequences.ts';
import { type ContentsQuery, type LaneContents, readContents, readSession } from '../items/lane-contents.ts';

/** Most operations per call. The orchestrator accepts 500. */
const OPERATIONS = 400;
/** Most bytes per call. The orchestrator accepts messages of 4 MiB. */
const BYTES = 3 * 1024 * 1024;
/** Bytes of an operation besides its payload: its action, session and fence, whose key may have 576 characters. */
const OPERATION_BYTES = 1_024;
/** Calls under way together. While one is answered and recorded in the journal, the orchestrator need not wait for the next. */
const AT_ONCE = 3;
/** Sessions per look. */
const SESSIONS = 200;

interface CopyCallParts {
  readonly orchestrator: Pick<Orchestrator, 'read' | 'batchWrite'>;
  readonly clock: Clock;
  /** Longest time of one call, milliseconds. */
  readonly timeoutMs: number;
}

/** The fence let nothing of a copy pass. */
export class CopyOvertaken extends StorageError {
  /** The generation that the orchestrator holds of the lane; undefined if it did not report it. */
  readonly generation: number | undefined;

  constructor(superseded?: Pick<WriteAnswer, 'generation'>) {
    super('the copy was overtaken', { effect: 'not_applied' });
    this.generation = superseded?.generation;
  }
}

/** The session that a copy looks at. */
type CopiedSession = Pick<ContentsQuery, 'sessionId' | 'lanes' | 'owner'>;

interface Batch {
  readonly operations: readonly OrchestratorWrite[];
  readonly bytes: number;
}

/** The calls by which copies read and write the orchestrator. Lanes that are copied at the same time share calls. */
export class CopyCalls {
  readonly #parts: CopyCallParts;
  readonly #writes: GatheredCalls<Batch, readonly WriteAnswer[]>;
  readonly #looks: GatheredCalls<SessionId, boolean>;

  constructor(parts: CopyCallParts) {
    this.#parts = parts;
    // After a ConnectionError no single copy is the cause. All copies of the call fail and are tried again.
    const isOnesFault = (error: unknown): boolean => !(error instanceof ConnectionError);
    this.#writes = new GatheredCalls({
      atOnce: AT_ONCE,
      isOnesFault,
      fits: (batches, next) => fits([...batches, next]),
      send: (batches) => this.#write(batches),
    });
    this.#looks = new GatheredCalls({
      atOnce: AT_ONCE,
      isOnesFault,
      fits: (sessions) => sessions.length < SESSIONS,
      send: (sessions) => this.#look(sessions),
    });
  }

  /**
   * Writes in one transaction, perhaps with those of other lanes.
   * @throws CrossfadeError like {@link Orchestrator.batchWrite}; CopyOvertaken if the fence refused everything, because then
   * the lane may not hold what the copy found
   */
  async write(operations: readonly OrchestratorWrite[]): Promise<void> {
    const answers = await this.#writes.add({ operations, bytes: bytesOfAll(operations) });
    const isApplied = answers.every(({ result }) => result === 'applied');
    if (!isApplied) throw new CopyOvertaken(answers.find(({ generation }) => generation !== undefined));
  }

  /**
   * Reads what the orchestrator holds of a lane. Nearly every lane of a backfill is empty there, and one look shows that for all
   * lanes that are copied together.
   * @throws CrossfadeError
   */
  async contents(lane: CopiedSession, isLikelyEmpty: boolean): Promise<LaneContents> {
    if (isLikelyEmpty && (await this.#looks.add(lane.sessionId))) return { listed: [], derived: [] };
    return readContents({
      ...lane,
      orchestrator: this.#parts.orchestrator,
      options: () => this.#options(),
    });
  }

  /** Whether the orchestrator has a row of the session. @throws CrossfadeError */
  async holdsSession(sessionId: SessionId): Promise<boolean> {
    const { orchestrator } = this.#parts;
    return (await readSession({ orchestrator, sessionId, options: () => this.#options() })) !== undefined;
  }

  /** Where the orchestrator is in a lane. Undefined if it does not know the lane. @throws CrossfadeError */
  async position(key: LaneKey): Promise<HeldPosition | undefined> {
    const read = { action: 'lane_positions', payload: { keys: [key] } } as const;
    const { data } = await this.#parts.orchestrator.read(read, this.#options());
    const lanes: readonly unknown[] = Array.isArray(data['lanes']) ? data['lanes'] : [];
    const found = lanes.filter(isJsonObject).find((lane) => lane['key'] === key);
    if (found === undefined) return undefined;
    const sequence = found['sequence'] ?? undefined;
    return {
      generation: Number(found['generation']),
      sequence: sequence === undefined ? undefined : Number(sequence),
    };
  }

  async #write(batches: readonly Batch[]): Promise<readonly (readonly WriteAnswer[])[]> {
    const answers = await this.#parts.orchestrator.batchWrite(
      batches.flatMap(({ operations }) => operations),
      this.#options(),
    );
    let end = 0;
    return batches.map(({ operations }) => {
      end += operations.length;
      return answers.slice(end - operations.length, end);
    });
  }

  async #look(sessions: readonly SessionId[]): Promise<readonly boolean[]> {
    const payload = { session_ids: [...new Set(sessions)], fields: ['text'], no_touch: true };
    const { data } = await this.#parts.orchestrator.read({ action: 'digest', payload }, this.#options());
    const found: unknown = data['sessions'];
    const counts = new Map(
      (Array.isArray(found) ? found : [])
        .filter(isJsonObject)
        .map((session) => [session['session_id'], session['count']]),
    );
    return sessions.map((id) => counts.get(id) === 0);
  }

  #options(): OrchestratorOptions {
    const { clock, timeoutMs } = this.#parts;
    return { purpose: 'probe', deadlineAtMs: clock.now() + timeoutMs };
  }
}

/** Splits a copy's operations into calls that are small enough. Returns at least one call, which may be empty. */
export function callsOf(operations: readonly OrchestratorWrite[]): OrchestratorWrite[][] {
  const calls: OrchestratorWrite[][] = [[]];
  let bytes = 0;
  for (const operation of operations) {
    const size = bytesOf(operation);
    const last = calls.at(-1) ?? [];
    const hasRoom = last.length === 0 || (last.length < OPERATIONS && bytes + size <= BYTES);
    bytes = hasRoom ? bytes + size : size;
    if (hasRoom) last.push(operation);
    else calls.push([operation]);
  }
  return calls;
}

function fits(batches: readonly Batch[]): boolean {
  const operations = batches.reduce((sum, batch) => sum + batch.operations.length, 0);
  const bytes = batches.reduce((sum, batch) => sum + batch.bytes, 0);
  return operations <= OPERATIONS && bytes <= BYTES;
}

function bytesOfAll(operations: readonly OrchestratorWrite[]): number {
  return operations.reduce((sum, operation) => sum + bytesOf(operation), 0);
}

/** Sizes of payloads. They are needed when a copy is split into calls, and again when the calls of several copies are joined. */
const measured = new WeakMap<OrchestratorWrite['payload'], number>();

function bytesOf({ payload }: OrchestratorWrite): number {
  // This many operations always fit, so most payloads need not be serialised just to measure them.
  const most = OPERATION_BYTES + mostBytesOf(payload);
  if (most <= BYTES / OPERATIONS) return most;
  const known = measured.get(payload);
  if (known !== undefined) return known;
  const bytes = OPERATION_BYTES + Buffer.byteLength(encodeJson(payload));
  measured.set(payload, bytes);
  return bytes;
}

interface GatheredCallParts<Entry, Result> {
  /** Makes one call for all entries. The results have the order of the entries. */
  send(entries: readonly Entry[]): Promise<readonly Result[]>;
  /** Whether one more entry fits into the call. A single entry always fits. */
  fits(entries: readonly Entry[], next: Entry): boolean;
  /** Full calls under way together. */
  readonly atOnce: number;
  /** Whether a single entry may have caused the failure of all. Then each is sent by itself. */
  isOnesFault(error: unknown): boolean;
}

interface Waiting<Entry, Result> {
  readonly entry: Entry;
  readonly resolve: (result: Result) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Joins what several copies want at the same time into one call. While it is answered, the next call gathers entries. It is sent
 * when it is full, or when no call is under way. Two half calls cost more than one full call.
 */
export class GatheredCalls<Entry, Result> {
  readonly #parts: GatheredCallParts<Entry, Result>;
  readonly #waiting: Waiting<Entry, Result>[] = [];
  #underWay = 0;
  #isScheduled = false;

  constructor(parts: GatheredCallParts<Entry, Result>) {
    this.#parts = parts;
  }

  add(entry: Entry): Promise<Result> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ entry, resolve, reject });
      this.#schedule();
    });
  }

  /** In the next turn, because entries that one answer of the journal released come in quick succession. */
  #schedule(): void {
    if (this.#isScheduled || this.#underWay === this.#parts.atOnce || this.#waiting.length === 0) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      this.#begin();
    });
  }

  #begin(): void {
    while (this.#waiting.length > 0 && this.#underWay < this.#parts.atOnce) {
      const fitting = this.#fitting();
      const isFull = fitting < this.#waiting.length;
      if (this.#underWay > 0 && !isFull) return;
      void this.#call(this.#waiting.splice(0, fitting));
    }
  }

  /** How many of the waiting entries fit into one call. */
  #fitting(): number {
    const entries: Entry[] = [];
    for (const { entry } of this.#waiting) {
      if (entries.length > 0 && !this.#parts.fits(entries, entry)) break;
      entries.push(entry);
    }
    return entries.length;
  }

  async #call(waiting: readonly Waiting<Entry, Result>[]): Promise<void> {
    this.#underWay += 1;
    await this.#send(waiting);
    this.#underWay -= 1;
    this.#schedule();
  }

  async #send(waiting: readonly Waiting<Entry, Result>[]): Promise<void> {
    try {
      const results = await this.#parts.send(waiting.map(({ entry }) => entry));
      waiting.forEach(({ resolve }, index) => resolve(results[index] as Result));
    } catch (error) {
      if (waiting.length > 1 && this.#parts.isOnesFault(error))
        for (const one of waiting) await this.#send([one]);
      else for (const { reject } of waiting) reject(error);
    }
  }
}
