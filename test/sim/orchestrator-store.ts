import { isJsonObject, parseTolerantly } from '../../src/domain/json.ts';
import {
  DuplicateError,
  NotFoundError,
  ValidationError,
  type CrossfadeError,
} from '../../src/domain/errors.ts';
import type { Verdict } from '../../src/orchestrator/memories/fence.ts';
import type { NumberedLane } from '../../src/orchestrator/memories/lane-row.ts';
import type { Requirement } from '../../src/orchestrator/memories/requirements.ts';
import { OrchestratorLanes } from './orchestrator-lanes.ts';
import {
  byPosition,
  matches,
  NO_POSITION,
  type MemoryRow,
  type SessionRow,
  type WireOperation,
} from './orchestrator-rows.ts';

/** The operation of a batch because of which nothing of it was applied. */
export class RefusedOperation extends Error {
  readonly index: number;
  readonly refusal: CrossfadeError;

  constructor(index: number, refusal: CrossfadeError) {
    super(refusal.message);
    this.index = index;
    this.refusal = refusal;
  }
}

/** What is planted to prove that the checks see it. */
export interface StoreFaults {
  /** The fence lets everything pass. */
  readonly isFenceOff: boolean;
  /** Answers `applied` and does nothing. */
  isDropped(operation: WireOperation): boolean;
  /** Content that the orchestrator refuses for good. */
  isRefused(operation: WireOperation): boolean;
  /** A deleted memory comes back with the next write of its session. */
  resurrects(): boolean;
}

/** A batch that is one write of its lane, because its sender names it or makes it depend on preconditions. */
interface LaneWrite {
  readonly lane: NumberedLane;
  readonly requirements: readonly Requirement[];
  readonly operations: readonly WireOperation[];
}

export interface Committed {
  readonly operations: readonly WireOperation[];
  readonly verdicts: readonly Verdict[];
  /** The lane of a batch that is one write. */
  readonly laneWrite?: NumberedLane;
  /** Rows that this commit has changed, before it and after it. */
  readonly changed: ReadonlyMap<
    string,
    { readonly before: MemoryRow | undefined; readonly after: MemoryRow }
  >;
}

/** The orchestrator's tables: memories, sessions, fences. A batch is applied whole or not at all. */
export class OrchestratorStore {
  readonly #faults: StoreFaults;
  #memories = new Map<string, MemoryRow>();
  #sessions = new Map<string, SessionRow>();
  readonly lanes = new OrchestratorLanes();
  #restores = 0;
  #changed = new Map<string, MemoryRow | undefined>();
  /** Called after every commit. */
  onCommit: (committed: Committed) => void = () => undefined;

  constructor(faults: StoreFaults) {
    this.#faults = faults;
  }

  /** Another text after its database was restored. */
  get instance(): string {
    return String(this.#restores);
  }

  /** Copies the database. The returned function sets it back, once. */
  backUp(): () => void {
    const [memories, sessions] = [new Map(this.#memories), new Map(this.#sessions)];
    const setLanesBack = this.lanes.mark();
    return () => {
      [this.#memories, this.#sessions] = [memories, sessions];
      setLanesBack();
      this.#restores += 1;
    };
  }

  session(id: string): SessionRow | undefined {
    return this.#sessions.get(id);
  }

  /** What readers see of a session, in the order of positions. */
  visible(sessionId: string): MemoryRow[] {
    return this.all(sessionId).filter(({ isActive }) => isActive);
  }

  all(sessionId: string): MemoryRow[] {
    return [...this.#memories.values()].filter((row) => row.sessionId === sessionId).toSorted(byPosition);
  }

  /** @throws RefusedOperation: then nothing was changed */
  write(operations: readonly WireOperation[]): readonly Verdict[] {
    return this.#whole(() => {
      const judged = this.lanes.judgeInOrder(operations.map(({ lane }) => lane));
      const verdicts = this.#faults.isFenceOff ? judged.map((): Verdict => 'applied') : judged;
      operations.forEach((operation, index) => {
        if (verdicts[index] === 'applied') this.#apply(operation, index);
      });
      return { answer: verdicts, committed: { operations, verdicts } };
    });
  }

  /** As in `memories/lane-write.ts`. @throws RefusedOperation: then nothing was changed, and the sequence is not taken */
  writeAsOne({ lane, requirements, operations }: LaneWrite): object {
    return this.#whole(() => {
      const known = this.lanes.answerOf(lane);
      if (known !== undefined) return { answer: known };
      const refused = this.#firstUnmet(requirements);
      const applied = refused === undefined ? operations : [];
      applied.forEach((operation, index) => this.#apply(operation, index));
      const answer = refused === undefined ? { results: operations.map(() => ({})) } : { refused };
      this.lanes.take(lane, answer);
      const verdicts = applied.map((): Verdict => 'applied');
      return { answer, committed: { operations: applied, verdicts, laneWrite: lane } };
    });
  }

  #firstUnmet(requirements: readonly Requirement[]): object | undefined {
    const requirement = requirements.findIndex((one) => !this.#isMet(one));
    const unmet = requirements[requirement];
    return unmet && { requirement, ...unmet };
  }

  #isMet(one: Requirement): boolean {
    if ('memory' in one)
      return (this.#memories.get(one.memory_id)?.isActive === true) === (one.memory === 'present');
    const session = this.#sessions.get(one.session_id);
    if (one.session === 'open') return session?.endedAt === null;
    return (session !== undefined) === (one.session === 'present');
  }

  /** In one transaction. @throws RefusedOperation: then nothing was changed */
  #whole<Answer>(
    work: () => { readonly answer: Answer; readonly committed?: Omit<Committed, 'changed'> },
  ): Answer {
    const sessions = new Map(this.#sessions);
    const takeBack = this.lanes.mark();
    this.#changed = new Map();
    let done: ReturnType<typeof work>;
    try {
      done = work();
    } catch (error) {
      this.#sessions = sessions;
      takeBack();
      for (const [id, row] of this.#changed) this.#restore(id, row);
      throw error;
    }
    if (done.committed !== undefined) this.onCommit({ ...done.committed, changed: this.#changes() });
    return done.answer;
  }

  #changes(): Committed['changed'] {
    return new Map(
      [...this.#changed].flatMap(([id, before]) => {
        const after = this.#memories.get(id);
        return after === undefined ? [] : [[id, { before, after }]];
      }),
    );
  }

  #restore(id: string, row: MemoryRow | undefined): void {
    if (row === undefined) this.#memories.delete(id);
    else this.#memories.set(id, row);
  }

  #apply(operation: WireOperation, index: number): void {
    if (this.#faults.isDropped(operation)) return;
    if (this.#faults.resurrects()) this.#resurrect(operation.sessionId);
    const refusal = this.#faults.isRefused(operation)
      ? new ValidationError('content must not be what it is')
      : this.#applied(operation);
    if (refusal !== undefined) throw new RefusedOperation(index, refusal);
  }

  #applied(operation: WireOperation): CrossfadeError | undefined {
    switch (operation.action) {
      case 'create':
        return this.#create(operation);
      case 'update':
        return this.#update(operation);
      case 'delete':
        return this.#delete(operation);
      case 'bulk_delete':
        return this.#bulkDelete(operation);
      case 'upsert_session':
        return this.#upsertSession(operation);
      case 'end_session':
        return this.#endSession(operation);
      default:
        throw new Error(`The simulated orchestrator knows no "${operation.action}"`);
    }
  }

  /** As in `orchestrator/create-memories.ts`: a create that passed its fence may bring back what was deleted. */
  #create(operation: WireOperation): CrossfadeError | undefined {
    const { sessionId, payload, lane } = operation;
    const isOpen = this.#sessions.get(sessionId)?.endedAt === null;
    if (!isOpen && payload['create_session'] !== true) return sessionNotFound();
    if (!isOpen) this.#open(sessionId, payload['user_id']);
    const row = createdRow(operation);
    const known = this.#memories.get(row.memoryId);
    if (known === undefined || (isGone(known, row) && lane !== undefined)) this.#put(row);
    else if (known.sessionId !== sessionId || known.content !== row.content)
      return new DuplicateError('memory_id exists with another content');
    return undefined;
  }

  #open(sessionId: string, userId: unknown): void {
    const known = this.#sessions.get(sessionId);
    this.#sessions.set(sessionId, {
      sessionId,
      userId: known?.userId ?? (typeof userId === 'string' ? userId : undefined),
      endedAt: null,
      metadata: known?.metadata ?? '{}',
    });
  }

  #update({ sessionId, payload, raw }: WireOperation): CrossfadeError | undefined {
    const row = this.#found(sessionId, payload['memory_id']);
    if (row === undefined) return new NotFoundError('Unknown memory');
    this.#put({
      ...row,
      ...(raw['content'] !== undefined && { content: raw['content'] }),
      ...(payload['tags'] !== undefined && { tags: stringsOf(payload['tags']) }),
      ...(typeof payload['position'] === 'number' && { position: payload['position'] }),
      ...(typeof payload['created_at'] === 'string' && { createdAt: payload['created_at'] }),
    });
    return undefined;
  }

  #delete({ sessionId, payload }: WireOperation): CrossfadeError | undefined {
    const row = this.#found(sessionId, payload['memory_id']);
    if (row === undefined) return new NotFoundError('Unknown memory');
    this.#put({ ...row, isActive: false });
    return undefined;
  }

  /** As in `orchestrator/bulk-delete.ts`: behind a lane's fence an unknown session is an empty one. */
  #bulkDelete({ sessionId, payload, lane }: WireOperation): CrossfadeError | undefined {
    if (!this.#sessions.has(sessionId) && lane === undefined) return sessionNotFound();
    const filter = isJsonObject(payload['filter']) ? payload['filter'] : {};
    for (const row of this.visible(sessionId)) {
      if (matches(row, filter)) this.#put({ ...row, isActive: false });
    }
    return undefined;
  }

  #upsertSession({ sessionId, payload, raw }: WireOperation): undefined {
    const known = this.#sessions.get(sessionId);
    const { user_id: userId, ended_at: endedAt } = payload;
    this.#sessions.set(sessionId, {
      sessionId,
      userId: typeof userId === 'string' ? userId : known?.userId,
      endedAt: endedAt === undefined ? (known?.endedAt ?? null) : (endedAt as string | null),
      metadata: raw['session_metadata'] ?? known?.metadata ?? '{}',
    });
  }

  #endSession({ sessionId, payload }: WireOperation): CrossfadeError | undefined {
    const known = this.#sessions.get(sessionId);
    if (known === undefined) return sessionNotFound();
    const { ended_at: given } = payload;
    const endedAt = known.endedAt ?? (typeof given === 'string' ? given : 'ended');
    this.#sessions.set(sessionId, { ...known, endedAt });
    return undefined;
  }

  #found(sessionId: string, id: unknown): MemoryRow | undefined {
    const row = this.#memories.get(String(id));
    return row?.sessionId === sessionId && row.isActive ? row : undefined;
  }

  #put(row: MemoryRow): void {
    if (!this.#changed.has(row.memoryId)) this.#changed.set(row.memoryId, this.#memories.get(row.memoryId));
    this.#memories.set(row.memoryId, row);
  }

  #resurrect(sessionId: string): void {
    const gone = this.all(sessionId).filter(({ isActive }) => !isActive);
    const last = gone.at(-1);
    if (last !== undefined) this.#put({ ...last, isActive: true });
  }
}

function createdRow({ sessionId, payload, raw, lane }: WireOperation): MemoryRow {
  const content = raw['content'] ?? '{}';
  const parsed = parseTolerantly(content);
  const sourceAgent = isJsonObject(parsed) ? parsed['source_agent'] : undefined;
  const { position } = payload;
  return {
    memoryId: String(payload['memory_id']),
    sessionId,
    memoryType: String(payload['memory_type']),
    content,
    tags: stringsOf(payload['tags']),
    position: typeof position === 'number' ? position : NO_POSITION,
    createdAt: String(payload['created_at']),
    sourceAgent: typeof sourceAgent === 'string' ? sourceAgent : null,
    laneKey: lane?.key,
    isActive: true,
  };
}

function isGone(known: MemoryRow, { sessionId }: MemoryRow): boolean {
  return known.sessionId === sessionId && !known.isActive;
}

function sessionNotFound(): NotFoundError {
  return new NotFoundError('Unknown session', { code: 'session_not_found' });
}

function stringsOf(value: unknown): string[] {
  return Array.isArray(value) ? value.map(String) : [];
}
