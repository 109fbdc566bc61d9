import { StorageError } from '../../domain/errors.ts';
import { type LaneKey, type Owner, type ServiceName, sessionIdOf } from '../../domain/ids.ts';
import { laneFence } from '../../domain/lane.ts';
import type { OrchestratorWrite } from '../../domain/orchestrator-call.ts';
import { isReadable, type LegacyLane, type StoredMemory } from '../../domain/service-definition.ts';
import { baselineOf, type CopyPlan } from '../items/copy-plan.ts';
import type { Emit } from '../ports/events.ts';
import { type LaneContents, listedLost, lostAs } from '../items/lane-contents.ts';
import type { HeldLane } from '../lane/hold-lane.ts';
import type { Lane } from '../lane/lane.ts';
import type { CopyException, WriteHistory } from '../ports/journal-facts.ts';
import type { Clock } from '../../shared/clock.ts';
import type { Journal, Orchestrator } from '../ports/ports.ts';
import type { FoundLost, LostAs } from '../ports/lost-items.ts';
import type { Coverage, ServiceRuntime } from '../ports/service-runtime.ts';
import type { Signals } from '../signals.ts';
import {
  applyCopy,
  type CopyOperationFacts,
  copyOperations,
  raiseFence,
  TooManyExceptions,
} from './copy-apply.ts';
import { CopyCalls, CopyOvertaken, GatheredCalls } from './copy-calls.ts';
import {
  type CopiedLane,
  type CopyAdvice,
  explainVanished,
  type JudgedFacts,
  judgeVanished,
} from './copy-judgement.ts';
import { type CopyLook, lookAt, type LookedAt, type ShownLane } from './copy-look.ts';
import { HeldSequences } from './held-sequences.ts';
import type { JournaledWrites } from './journaled-writes.ts';

/** How long a copy waits for earlier writes of the lane. */
const HOLD_PATIENCE_MS = 30_000;

export interface CopyParts {
  readonly journal: Pick<
    Journal,
    | 'cleanSpilled'
    | 'lanes'
    | 'beginCopy'
    | 'lastApplied'
    | 'stopLane'
    | 'fence'
    | 'finishCopy'
    | 'undelivered'
    | 'deliveredSinceCopy'
  >;
  readonly orchestrator: Pick<Orchestrator, 'read' | 'batchWrite'>;
  readonly services: ReadonlyMap<ServiceName, ServiceRuntime>;
  readonly coverage: ReadonlyMap<ServiceName, Coverage>;
  readonly history: WriteHistory | undefined;
  readonly clock: Clock;
  readonly emit: Emit;
  readonly timeoutMs: number;
  /** Keeps the writes of every replica out of the lane. @throws ConnectionError at the deadline */
  hold(lane: Lane, deadlineAtMs: number): Promise<HeldLane>;
  /** Whether this replica has written something that the journal does not know. */
  readonly isSpilling: () => boolean;
  /** Whether no other replica writes. Then memory knows everything that the journal knows. */
  readonly isAlone: () => boolean;
  /** Items of the lane that are listed as lost and wait for a person. @throws StorageError */
  listedLost(lane: Lane): Promise<readonly LostAs[]>;
  /** Lists items that wait for a person's decision. @throws StorageError */
  listLost(lane: Lane, items: readonly FoundLost[]): Promise<void>;
  /** Resolves when the known outcomes of the lane's writes up to a sequence are durable. @throws StorageError if they are not in time */
  recordedUpTo(lane: LaneKey, sequence: number): Promise<void>;
  /** Resolves when no delivery of the lane is under way. */
  quiet(lane: Lane): Promise<void>;
  readonly signals: Pick<Signals, 'letGo'>;
  /** Called when everything up to `sequence` is on the secondary. */
  covered(lane: Lane, sequence: number): void;
}

/** A copy under way. */
interface Copy extends LookedAt {
  readonly coverage: number;
  readonly startedAtMs: number;
}

interface Begun {
  readonly advice: CopyAdvice | undefined;
  /** The generation that the orchestrator holds. */
  readonly above?: number;
}

/** The end of a copy. */
interface Finished {
  readonly exceptions: readonly CopyException[];
  readonly isRepair: boolean;
  /** False if an item that legacy lost stays on the secondary. */
  readonly isEqual: boolean;
}

/** What the primary showed while the lane was held. */
interface Reading {
  readonly source: LegacyLane;
  readonly sequence: number;
  readonly heldMs: number;
  readonly readAtMs: number;
  /** The read was late enough to show the effect of every unknown outcome. */
  readonly closes: boolean;
}

/** Makes the secondary hold what the primary shows: ../README.md, "Copying a lane". */
export class LaneCopier {
  readonly #parts: CopyParts;
  readonly #calls: CopyCalls;
  readonly #reads = new CopyReads();
  readonly #held = new HeldSequences();

  constructor(parts: CopyParts) {
    this.#parts = parts;
    this.#calls = new CopyCalls(parts);
  }

  /** @throws CrossfadeError if a side cannot be read or written. The lane then stays `copying` and must be copied again */
  async copy(lane: Lane, advice?: CopyAdvice): Promise<void> {
    if (!this.#canRead(lane)) return this.#leave(lane);
    try {
      await this.#copy(lane, { advice });
    } catch (error) {
      if (!(error instanceof CopyOvertaken) || error.generation === undefined) throw error;
      // A new or restored journal may have much lower generations than those that the orchestrator holds.
      await this.#copy(lane, { advice, above: error.generation });
    }
  }

  async #copy(lane: Lane, { advice, above }: Begun): Promise<void> {
    const copy = await this.#begin(lane, above);
    // Another replica is the lane's home, and copies it.
    if (copy === undefined) return;
    const raised = this.#raiseFence(copy);
    // Awaited below in every case, also if the read fails.
    raised.catch(() => undefined);
    const reading = await this.#read(copy).finally(() => raised);
    // The journal explains what the reading shows. It would take an acknowledged write for one that was perhaps never sent.
    await this.#parts.recordedUpTo(lane.key, reading.sequence);
    const look = await this.#look(copy, { ...reading, heldUpTo: await raised });
    if (look === undefined) return this.#stop(copy, 'too_many_exceptions', 0);
    const { contents, journaled, plan, ending } = look;
    const found = { source: reading.source, listed: contents.listed, sequence: reading.sequence };
    const { deletes, forgotten, lost, left, stop } = await judgeVanished({
      vanished: plan.vanished,
      unaccounted: journaled.unaccounted,
      wasUncovered: copy.wasUncovered,
      covered: journaled.covered,
      held: contents.listed.length,
      ...(await advised(advice, found)),
      listedLost: await this.#listedLost(lane, advice, { contents, vanished: plan.vanished }),
      explain: (vanished) => this.#explain(copy, { reading, contents, vanished, journaled }),
    });
    await this.#listLost(copy, contents, lost);
    if (stop !== undefined) return this.#stop(copy, stop, lost.length);
    const planned = { ...plan, deletes: [...plan.deletes, ...deletes], forgotten, ending };
    const operations = this.#operations(copy, reading, planned);
    await advice?.beforeWriting(found, operations);
    const applied = await this.#apply(copy, operations, reading.sequence);
    if (applied === undefined) return this.#stop(copy, 'too_many_exceptions', 0);
    const exceptions = [...look.exceptions, ...applied];
    await this.#finish(copy, reading, {
      exceptions,
      isRepair: advice !== undefined && left === 0,
      isEqual: left === 0,
    });
    this.#sayExceptions(lane, exceptions);
    this.#parts.emit('lane:copied', {
      service: lane.service,
      lane: lane.key,
      items: reading.source.items.length,
      written: operations.length,
      deleted: planned.deletes.length,
      forgotten: forgotten.length,
      durationMs: this.#parts.clock.now() - copy.startedAtMs,
      heldMs: reading.heldMs,
    });
  }

  /**
   * An item that a person was asked about stays, whatever explains its loss now. A repair keeps those items by itself.
   */
  async #listedLost(
    lane: Lane,
    advice: CopyAdvice | undefined,
    { contents, vanished }: { readonly contents: LaneContents; readonly vanished: readonly StoredMemory[] },
  ): Promise<ReadonlySet<string>> {
    if (advice !== undefined || vanished.length === 0) return new Set();
    return listedLost(contents.listed, await this.#parts.listedLost(lane));
  }

  #operations(
    { lane, service: { definition }, sessionId }: Copy,
    { source }: Reading,
    { forgotten, ending, ...plan }: CopyPlan & Pick<CopyOperationFacts, 'forgotten' | 'ending'>,
  ): OrchestratorWrite[] {
    const { lanes } = definition;
    return copyOperations({ sessionId, owner: lane.owner, lanes, plan, forgotten, source, ending });
  }

  #canRead(lane: Lane): boolean {
    const service = this.#parts.services.get(lane.service);
    return service !== undefined && isReadable(service);
  }

  /** If a person or a late reply decided about the lane's writes, the decision is in the journal. */
  async #leave(lane: Lane): Promise<void> {
    lane.closed();
    await this.#parts.journal.cleanSpilled(lane.key);
    const state = (await this.#parts.journal.lanes([lane.key])).get(lane.key);
    if (state !== undefined) lane.adoptForeign(state);
  }

  async #begin(lane: Lane, above?: number): Promise<Copy | undefined> {
    const service = this.#parts.services.get(lane.service);
    if (service === undefined) throw new Error(`Unknown service "${lane.service}"`);
    const coverage = this.#coverageOf(lane);
    const startedAtMs = this.#parts.clock.now();
    const isSeeded = lane.seededCoverage === coverage;
    const before = lane.beginCopy();
    const state = await this.#parts.journal.beginCopy(lane.key, above);
    if (state === undefined) {
      lane.abandonCopy(before);
      await this.#parts.signals.letGo(lane);
      return undefined;
    }
    lane.copyBegun(state);
    this.#parts.emit('lane:copying', { service: lane.service, lane: lane.key, generation: state.generation });
    const sessionId = sessionIdOf(service.definition.lanes.sessionPrefix, lane.owner);
    const { generation, sequence } = state;
    // A lane that has returned was covered all the time.
    const wasUncovered = !isSeeded && state.seededCoverage !== -coverage;
    const isFirst = generation === 1 && sequence === 0;
    return { lane, service, sessionId, generation, coverage, wasUncovered, startedAtMs, isFirst };
  }

  /** Holds the lane only for the read. No write of it is in flight meanwhile, in any replica. */
  async #read({ lane, service }: Copy): Promise<Reading> {
    const { clock } = this.#parts;
    const held = await this.#parts.hold(lane, clock.now() + HOLD_PATIENCE_MS);
    const heldAtMs = clock.now();
    const closes = lane.closesAtMs > 0 && heldAtMs >= lane.closesAtMs;
    try {
      const source = await this.#reads.read(service, lane.owner);
      if (!held.isSure())
        throw new StorageError('the hold on the lane has expired', { effect: 'not_applied' });
      return { source, sequence: lane.sequence, heldMs: clock.now() - heldAtMs, readAtMs: heldAtMs, closes };
    } finally {
      held.release();
    }
  }

  /**
   * Done before the secondary is read, so that a late call of an older generation changes nothing afterwards.
   * @returns the last sequence that the orchestrator held. A restored one may hold less than the journal recorded as delivered
   */
  async #raiseFence({ lane, generation, sessionId, isFirst }: Copy): Promise<number | undefined> {
    await this.#parts.quiet(lane);
    if (isFirst) return undefined;
    const heldUpTo = this.#held.note(lane.key, await this.#calls.position(lane.key), generation);
    await applyCopy([raiseFence({ sessionId })], laneFence(lane, generation), this.#calls);
    return heldUpTo;
  }

  /** Undefined if so much was refused that the copy stopped. */
  #look(copy: Copy, shown: ShownLane): Promise<CopyLook | undefined> {
    const { journal, history } = this.#parts;
    const checkReading = (): Promise<void> => this.#checkReading(copy);
    return unlessTooMany(lookAt(copy, shown, { journal, history, calls: this.#calls, checkReading }));
  }

  #explain(
    { service: { definition, access, context }, lane }: Copy,
    facts: {
      reading: Reading;
      contents: LaneContents;
      vanished: readonly StoredMemory[];
      journaled: JournaledWrites;
    },
  ) {
    const { lanes } = definition;
    return explainVanished({
      context,
      retention: lanes.retention,
      source: facts.reading.source,
      vanished: facts.vanished,
      existing: facts.contents.listed,
      lastApplied: (before, from) => this.#parts.journal.lastApplied(lane.key, before, from),
      emptyBelow: facts.journaled.emptyBelow,
      beginnings: facts.journaled.beginnings,
      ownersAround: async (instant) => lanes.ownersAround?.(instant, access, context),
    });
  }

  /** Called before the lane stops for the items, because a person decides about listed items. */
  async #listLost(copy: Copy, { listed }: LaneContents, lost: readonly StoredMemory[]): Promise<void> {
    if (lost.length === 0) return;
    const items = listed.filter(({ memory }) => lost.includes(memory));
    await this.#lookTwice(copy);
    await this.#parts.listLost(copy.lane, items.map(lostAs));
  }

  async #stop(copy: Copy, reason: string, lost: number): Promise<void> {
    const { lane } = copy;
    await this.#lookTwice(copy);
    await this.#parts.journal.stopLane(lane.key, reason);
    lane.stop();
    this.#parts.emit('lane:stopped', { service: lane.service, lane: lane.key, reason, lost });
  }

  /**
   * A replica may have begun to spill after the copy began, or dual writes may have ended. No write since then can explain an item
   * that the reading shows or lacks.
   * @throws StorageError in this case, so that the lane is copied again
   */
  async #checkReading(copy: Copy): Promise<void> {
    const { lane, coverage } = copy;
    const { isAlone, isSpilling } = this.#parts;
    const isCovered = this.#coverageOf(lane) === coverage;
    const isKnown = isAlone() && isCovered && lane.condition === 'copying' && !isSpilling();
    if (!isKnown) await this.#lookTwice(copy);
  }

  /**
   * A vanished item may have been deleted by a write that its replica could not journal and has not replayed yet. It may also have
   * been deleted after the end of dual writes.
   * @throws StorageError in this case, so that the lane is copied again
   */
  async #lookTwice({ lane, coverage }: Copy): Promise<void> {
    const view = await this.#parts.journal.fence(lane.key);
    const isSure = lane.condition === 'copying' && view?.state.condition === 'copying';
    if (isSure && view.coverage === coverage && !view.isReplicaSilent && !this.#parts.isSpilling()) return;
    throw new StorageError('the lane was written to without the journal', { effect: 'not_applied' });
  }

  #coverageOf({ service }: Lane): number {
    return this.#parts.coverage.get(service)?.number ?? 0;
  }

  /** Undefined if so much was refused that the copy stopped. */
  #apply(
    { lane, generation }: Copy,
    operations: readonly OrchestratorWrite[],
    sequence: number,
  ): Promise<readonly CopyException[] | undefined> {
    return unlessTooMany(applyCopy(operations, { ...laneFence(lane, generation), sequence }, this.#calls));
  }

  async #finish(
    { lane, generation, coverage }: Copy,
    { source, sequence, readAtMs, closes }: Reading,
    { exceptions, isRepair, isEqual }: Finished,
  ): Promise<void> {
    const { journal } = this.#parts;
    // Without a baseline, a later difference cannot be attributed to one side.
    const isWhole = exceptions.length === 0 && isEqual;
    const facts = { generation, sequence, coverage, exceptions, closes, isRepair };
    const state = await journal.finishCopy(
      lane.key,
      isWhole ? { ...facts, baseline: baselineOf(source.items) } : facts,
    );
    if (state === undefined) throw new Error('another copy of the lane has started meanwhile');
    // Another write of unknown outcome may have moved this time meanwhile.
    if (closes && lane.closesAtMs <= readAtMs) lane.closed();
    this.#held.forget(lane.key);
    lane.finishCopy(state, { coverage, sequence });
    this.#parts.covered(lane, sequence);
  }

  #sayExceptions({ service, key }: Lane, exceptions: readonly CopyException[]): void {
    for (const { code, reason } of exceptions.slice(0, 1))
      this.#parts.emit('lane:excepted', { service, lane: key, items: exceptions.length, code, reason });
  }
}

/** A copy that no person asked for removes nothing that a person would decide about. */
async function advised(
  advice: CopyAdvice | undefined,
  found: CopiedLane,
): Promise<Pick<JudgedFacts, 'removable' | 'undecided'>> {
  if (advice === undefined) return { removable: new Set(), undecided: new Set() };
  return { removable: await advice.removable(found), undecided: await advice.undecided(found) };
}

async function unlessTooMany<Result>(result: Promise<Result>): Promise<Result | undefined> {
  try {
    return await result;
  } catch (error) {
    if (error instanceof TooManyExceptions) return undefined;
    throw error;
  }
}

/** Most lanes per reading. */
const LANES = 200;
const NOTHING: LegacyLane = { exists: false, items: [] };

/**
 * The readings by which copies see what legacy holds. Lanes that are copied at the same time share one reading if the definition
 * allows it. A store without an index takes as long for one lane as for many, and its service waits meanwhile.
 */
export class CopyReads {
  readonly #gathered = new Map<ServiceRuntime, GatheredCalls<Owner, LegacyLane>>();

  /** Reads the lane as it is after this call. @throws Error like `readLegacy` */
  read(service: ServiceRuntime, owner: Owner): Promise<LegacyLane> {
    const canReadMany = service.definition.lanes.readMany !== undefined;
    return canReadMany ? this.#of(service).add(owner) : readOne(service, owner);
  }

  #of(service: ServiceRuntime): GatheredCalls<Owner, LegacyLane> {
    const known = this.#gathered.get(service);
    if (known !== undefined) return known;
    const gathered = new GatheredCalls<Owner, LegacyLane>({
      // The service answers agents meanwhile.
      atOnce: 1,
      // Each lane is then read by itself, and reports its own error.
      isOnesFault: () => true,
      fits: (owners) => owners.length < LANES,
      send: (owners) => readTogether(service, owners),
    });
    this.#gathered.set(service, gathered);
    return gathered;
  }
}

async function readTogether(
  service: ServiceRuntime,
  owners: readonly Owner[],
): Promise<readonly LegacyLane[]> {
  const { definition, access, context } = service;
  const [first, ...others] = owners;
  if (first !== undefined && others.length === 0) return [await readOne(service, first)];
  const lanes = await definition.lanes.readMany?.(owners, access, context);
  return owners.map((owner) => lanes?.get(owner) ?? NOTHING);
}

function readOne({ definition, access, context }: ServiceRuntime, owner: Owner): Promise<LegacyLane> {
  return definition.lanes.readLegacy(owner, access, context);
}
