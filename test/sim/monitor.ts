import type { Comparison, Verdict } from '../../src/domain/comparison.ts';
import { messageOf } from '../../src/domain/errors.ts';
import type { LaneKey, ReplicaId } from '../../src/domain/ids.ts';
import type { EventName, MigrationEvents } from '../../src/engine/ports/events.ts';
import type { NumberedLane } from '../../src/orchestrator/memories/lane-row.ts';
import type { Attempt, Call } from './history.ts';
import type { LaneRow } from './lane-row.ts';
import { marksIn } from './legacy/effects.ts';
import type { WireOperation } from './orchestrator-rows.ts';
import type { Committed } from './orchestrator-store.ts';
import type { Owner } from './scheduler.ts';
import { checkRead } from './read-check.ts';
import { isLateEffect } from './late-check.ts';
import { hasLost } from './loss-check.ts';
import { waitedForPerson } from './restores.ts';
import { noteRepeats } from './repeat-check.ts';
import { checkCommit, createCommitLog } from './commit-check.ts';
import type { Violations } from './violations.ts';
import type { World } from './world.ts';

/** An answer may come so long after the last trouble and still be excused by it. */
const AFTERMATH_MS = 10_000;
/** Most that a call may take where nothing was in trouble but the secondary: its read timeout, and legacy's own queue. */
const CALM_LIMIT_MS = 700;
/** A deadline, and the tolerance of the agents' own. */
const DEADLINE_LIMIT_MS = 4_550;

/** The process that something happened in, and who it is to the others. */
export interface EventSource {
  readonly owner: Owner;
  readonly identity: { readonly id: ReplicaId };
}

interface CopyEvent {
  readonly lane: LaneKey;
  readonly generation?: number;
}

interface Copying {
  readonly owner: Owner;
  readonly replica: ReplicaId;
  readonly generation: number;
}

/** Watches a run while it goes: what cannot be seen in the end any more. */
export class Monitor {
  readonly #world: World;
  readonly #violations: Violations;
  readonly #copying = new Map<LaneKey, Copying>();
  /** When the newest copy of each lane began. */
  readonly #copyBeganMs = new Map<LaneKey, number>();
  #received: MigrationEvents['operation:received'] | undefined;
  /** What the orchestrator has seen of each lane so far. */
  readonly log = createCommitLog();
  crashes = 0;
  flips = 0;
  /** Of these, returns to legacy. */
  returns = 0;
  /** Writes that the orchestrator took as the primary of their lanes. */
  primaryWrites = 0;
  readonly lanesCompared: Record<Verdict, number> = { match: 0, mismatch: 0, not_comparable: 0 };

  constructor(world: World, violations: Violations) {
    this.#world = world;
    this.#violations = violations;
    const { log } = this;
    world.primaries.violations = violations;
    world.database.onFlip = (lane) => this.#flipped(lane);
    world.store.onCommit = (committed) => {
      this.#record(committed);
      if (committed.laneWrite !== undefined) this.#taken(committed.laneWrite);
      checkCommit(committed, { log, world, violations });
    };
  }

  /** The engine's events, in the order in which they happened. */
  on<Name extends EventName>(source: EventSource, name: Name, event: MigrationEvents[Name]): void {
    const { trace, scheduler, history } = this.#world;
    trace.add(scheduler.nowMs, source.owner.name, `${name} ${factsOf(event)}`);
    if (name === 'operation:received') this.#received = event as MigrationEvents['operation:received'];
    if (name === 'operation:replied') {
      const { operationId, backend } = event as MigrationEvents['operation:replied'];
      const attempt = history.byOperation(operationId);
      if (attempt !== undefined && backend !== undefined) attempt.call.backend = backend;
    }
    noteRepeats(this.#world, name, event);
    if (name === 'lane:compared') this.#lanesCompared(event as MigrationEvents['lane:compared']);
    else if (name.startsWith('lane:')) this.#copies(source, name, event as CopyEvent);
  }

  /** Nothing alters the stores behind the engine's back: a lane that it finds different is wrong, or was judged wrongly. */
  #lanesCompared({ lane, comparison }: MigrationEvents['lane:compared']): void {
    this.lanesCompared[comparison.verdict] += 1;
    // What a flipped lane lacks on legacy is delivered by nothing.
    const isFlipped = this.#world.database.lane(lane)?.primary === 'orchestrator';
    const isSetBack = this.#world.restores.mayLack(this.#world, lane);
    if (comparison.verdict !== 'mismatch' || isFlipped || isSetBack || hasLost(this.#world, lane)) return;
    if (this.#isLate(lane, comparison)) return;
    const found = comparison.differences.map(({ class: kind }) => kind).join(', ');
    this.#violations.add('I2', `${lane} was compared whole, and is not the same on both sides: ${found}`);
  }

  #isLate(key: LaneKey, comparison: Comparison): boolean {
    const { services, database } = this.#world;
    const lane = database.lane(key);
    const effects = services.find(({ name }) => name === lane?.service)?.model.effects;
    const copyBeganMs = this.#copyBeganMs.get(key);
    if (lane === undefined || effects === undefined || copyBeganMs === undefined) return false;
    return isLateEffect(comparison, { lane, effects, copyBeganMs });
  }

  #flipped(lane: LaneRow): void {
    this.flips += 1;
    if (lane.primary === 'legacy') this.returns += 1;
    this.#world.trace.add(this.#world.scheduler.nowMs, 'journal', `${lane.key} flipped to ${lane.primary}`);
    this.#world.primaries.flipped(this.#world, lane);
  }

  #taken(lane: NumberedLane): void {
    this.primaryWrites += 1;
    this.#world.primaries.onOrchestrator(this.#world.services, lane);
  }

  #record({ operations, verdicts }: Committed): void {
    const { trace, scheduler } = this.#world;
    for (const [index, operation] of operations.entries())
      trace.add(scheduler.nowMs, 'orchestrator', `${spellOperation(operation)} ${verdicts[index] ?? ''}`);
  }

  #copies(source: EventSource, name: EventName, { lane, generation = 0 }: CopyEvent): void {
    if (name === 'lane:copying')
      return this.#copyBegan(lane, { owner: source.owner, replica: source.identity.id, generation });
    if (name !== 'lane:dirty' && this.#copying.get(lane)?.owner === source.owner) this.#copying.delete(lane);
  }

  /** I6: a lane is copied by one replica at a time, as far as none was given up, or waits for the end of its own. */
  #copyBegan(lane: LaneKey, copy: Copying): void {
    const other = this.#copying.get(lane);
    // What says so late has been overtaken.
    if (other !== undefined && other.generation >= copy.generation) return;
    if (other !== undefined && other.owner !== copy.owner) this.#world.restores.copyInterrupted(lane);
    this.#copying.set(lane, copy);
    this.#copyBeganMs.set(lane, this.#world.scheduler.nowMs);
    if (other === undefined || other.owner === copy.owner || !this.#isUnderWay(other)) return;
    const names = `${other.owner.name} and ${copy.owner.name}`;
    this.#violations.add('I6', `${lane} is copied by ${names} at the same time`);
  }

  #isUnderWay({ owner, replica }: Copying): boolean {
    const { scheduler, faults, database } = this.#world;
    const isJournalCalm = (faults.troubles.get('journal') ?? -Infinity) < scheduler.nowMs - AFTERMATH_MS;
    return !owner.isDead && database.replicas.isAlive(replica) && isJournalCalm;
  }

  died(_owner: Owner): void {
    this.crashes += 1;
    this.#world.faults.trouble('crash');
  }

  threw(error: unknown): void {
    this.#violations.add('I7', `the engine threw at a frontend: ${messageOf(error)}`);
  }

  /** The engine has just classified this call: its event came from within. */
  begun(attempt: Attempt): void {
    if (this.#received !== undefined) this.#world.history.name(attempt, this.#received.operationId);
    this.#received = undefined;
  }

  answered(call: Call): void {
    this.#checkCalm(call);
    if (call.kind === 'write') this.#checkJournaled(call);
    else checkRead(call, this.#world, this.#violations);
  }

  /** I2: an acknowledged write of a covered service has a durable intent. */
  #checkJournaled(call: Call): void {
    if (call.status !== 'acknowledged' || !call.isCovered) return;
    if (this.#world.database.holds(call.lane, call.number)) return;
    if ([...this.#world.disks.values()].some((disk) => disk.holds(call.lane, call.number))) return;
    this.#violations.add('I2', `write ${call.number} of ${call.lane} was acknowledged and is in no journal`);
  }

  /** I7: no failure and no delay but what legacy or the journal gave cause for. */
  #checkCalm(call: Call): void {
    const { scheduler, faults } = this.#world;
    const durationMs = scheduler.nowMs - call.sentMs;
    if (durationMs > DEADLINE_LIMIT_MS && !this.#wasIn('pause', call))
      this.#violations.add('I7', `call ${call.number} was answered after ${durationMs.toFixed(0)} ms`);
    if (this.#edgesOf(call).some((edge) => this.#wasIn(edge, call))) return;
    // T12: the lane gives errors until a person decides.
    if (waitedForPerson(this.#world, call.lane, call.sentMs)) return;
    if (durationMs > CALM_LIMIT_MS)
      this.#violations.add(
        'I7',
        `call ${call.number} took ${durationMs.toFixed(0)} ms, and nothing but the secondary was in trouble`,
      );
    // The orchestrator refuses for good what it may not store.
    const isRefused = this.#world.plant.isPoison(call.number);
    if (call.status === 'failed' && call.backend === undefined && faults !== undefined && !isRefused)
      this.#violations.add(
        'I7',
        `call ${call.number} failed, and nothing but the secondary was in trouble: ${call.reply}`,
      );
  }

  /** What may make the call fail, or wait. */
  #edgesOf({ lane, service, startMs }: Call): string[] {
    const edges = ['crash', 'pause', 'journal'];
    const row = this.#world.database.lane(lane);
    const hasMoved = row?.flips.some(({ atMs }) => atMs > startMs) === true;
    if (hasMoved) return [...edges, 'orchestrator', service];
    return [...edges, row?.primary === 'orchestrator' ? 'orchestrator' : service];
  }

  #wasIn(edge: string, call: Call): boolean {
    return (this.#world.faults.troubles.get(edge) ?? -Infinity) >= call.sentMs - AFTERMATH_MS;
  }
}

function spellOperation({ action, sessionId, lane, raw }: WireOperation): string {
  const fence = lane === undefined ? '-' : `${lane.generation}/${lane.sequence ?? '-'}`;
  const items = marksIn(raw['content'] ?? '').join('+');
  return `${action} ${sessionId} ${fence} ${items} ${raw['position'] ?? ''}`;
}

const SHOWN = [
  'service',
  'action',
  'lane',
  'sequence',
  'outcome',
  'result',
  'reason',
  'generation',
  'status',
];

function factsOf(event: object): string {
  return Object.entries(event)
    .filter(([key]) => SHOWN.includes(key))
    .map(([, value]) => String(value))
    .join(' ');
}
