import { messageOf } from '../domain/errors.ts';
import { BacklogLimit, type BacklogLimits } from './writes/backlog-limit.ts';
import type { Births } from './flips/births.ts';
import type { CallLegacy } from './calls/call-legacy.ts';
import type { Engine } from './engine.ts';
import type { Lane } from './lane/lane.ts';
import { LateReplies } from './writes/late-reply.ts';
import type { MigrationParts } from './parts.ts';
import type { PendingWrite } from './ports/ports.ts';
import { Repeats } from './writes/repeats.ts';
import { createResolveItems, type Sequenced, Sequencer } from './writes/sequence-write.ts';
import type { CopyCause } from './ports/events.ts';
import { type WriteParts, WritePath } from './requests/write.ts';

const NO_LIMIT: BacklogLimits = { lane: Infinity, total: Infinity };

interface WriteEdges {
  readonly callLegacy: CallLegacy;
  /** Absent: every new owner begins on legacy. */
  readonly births: Births | undefined;
}

/** Creates the parts that a write passes through. */
export function createWrites(
  parts: MigrationParts,
  engine: Engine,
  { callLegacy, births }: WriteEdges,
): WritePath {
  const { clock, journal } = parts;
  const { emit } = parts.events;
  const { lanes, coverage, membership, isAlone, unjournaled, outcomeRecorder, settler } = engine;
  const deliver = createDeliver(parts, engine);
  const tellHome: WriteParts['tellHome'] = (lane) => void engine.takeOver.tellHome(lane);
  const wake = (): void => engine.deliverer.wake();
  return new WritePath({
    repeats: createRepeats(parts, engine),
    isAlone,
    spill: engine.spilling?.path,
    sequencer: createSequencer(parts, engine),
    outcomeRecorder,
    lanes,
    callLegacy,
    orchestratorPrimary: engine.orchestratorPrimary,
    clock,
    emit,
    coverage,
    unjournaled,
    deliver,
    tellHome,
    released: (written) => released(parts, written),
    written: (lane) => engine.unconfirmed.note(lane.key),
    lateReplies: new LateReplies({ journal, outcomeRecorder, emit, deliver, tellHome, wake }),
    mayAct: () => membership.mayAct,
    mayPass: () => membership.mayPass,
    copySoon: (lane, reason) => copySoon(engine, lane, reason),
    beganAgain: (lane, record) => settler.copyAfter(lane, 'began_again', record),
    settle: (lane, { service }, sentAtMs) => settler.settle(lane, service, sentAtMs),
    settleAnew: (lane, { service }, sentAtMs) => settler.settleAnew(lane, service, sentAtMs),
    ...createGates(engine, births),
    isShut: ({ service }) => settler.isShut(service.name),
  });
}

/** A completion releases no lane with an open write. Such a write is released when it has its outcome. */
function released(parts: MigrationParts, { writes, lane, write }: Sequenced): boolean {
  const isNeedless =
    writes === 'complete' || (writes === 'read_only' && parts.ends?.states.isComplete(lane.service) === true);
  if (isNeedless) void release(parts, lane, write);
  return isNeedless;
}

async function release(
  { journal, events }: Pick<MigrationParts, 'journal' | 'events'>,
  lane: Lane,
  write: PendingWrite,
): Promise<void> {
  lane.deliveredUpTo(write.sequence);
  try {
    await journal.delivered(write);
  } catch (error) {
    events.emit('journal:failed', { reason: messageOf(error) });
  }
}

/** Delivers within the limits of the backlog. */
function createDeliver(
  { services, settings, clock, ends }: MigrationParts,
  engine: Engine,
): WriteParts['deliver'] {
  const { deliverer, settler, outcomeRecorder } = engine;
  const waiting = (): Iterable<Lane> => deliverer.allWaiting();
  const backlog = new BacklogLimit({
    limits: settings.backlog ?? NO_LIMIT,
    services,
    clock,
    waiting,
    isOpen: (service) => (ends?.states.stateOf(service) ?? 'open') === 'open',
  });
  return (lane, write) => {
    deliverer.deliver(lane, write);
    if (!backlog.isOver(lane)) return;
    if (lane.primary === 'legacy') settler.copyAnew(lane, 'backlog');
    else void outcomeRecorder.untilDone(() => deliverer.reverse.loseWayBack(lane));
  };
}

function createRepeats({ keptReplies, clock, events }: MigrationParts, { outcomeRecorder }: Engine): Repeats {
  return new Repeats({
    kept: keptReplies,
    clock,
    emit: events.emit,
    untilDone: (work) => outcomeRecorder.untilDone(work),
  });
}

function createGates(
  { settler, restored }: Engine,
  births: Births | undefined,
): Pick<WriteParts, 'begin' | 'gate' | 'admit'> {
  const gate: WriteParts['gate'] = ({ service, deadlineAtMs }) => settler.gate(service.name, deadlineAtMs);
  return {
    gate,
    admit: (lane) => restored?.admit(lane),
    async begin(operation, lane) {
      await births?.consider(operation, lane);
      if (lane.primary === 'legacy') await gate(operation);
      await restored?.admit(lane);
    },
  };
}

function createSequencer({ journal, clock, events }: MigrationParts, engine: Engine): Sequencer {
  const { emit } = events;
  const { outcomeRecorder, settler, coverage, takeOver, keeper } = engine;
  return new Sequencer({
    journal,
    outcomeRecorder,
    clock,
    emit,
    coverage,
    busy: (lane) => takeOver.busy(lane),
    resolveItems: createResolveItems({ journal, clock, emit }),
    settleLeftOver: (lane, { service }) => settler.settle(lane, service),
    // As for the first copies, except that a store that cannot be read makes no difference.
    maySeed: (service) => keeper.isJournaledByAll(service),
  });
}

function copySoon({ copies, settler }: Engine, lane: Lane, cause: CopyCause): void {
  if (cause === 'unseeded') copies.add(lane, cause);
  else settler.copyAnew(lane, cause);
}
