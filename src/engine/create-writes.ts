import { BacklogLimit, type BacklogLimits } from './writes/backlog-limit.ts';
import type { CallLegacy } from './calls/call-legacy.ts';
import type { Engine } from './engine.ts';
import type { Lane } from './lane/lane.ts';
import { LateReplies } from './writes/late-reply.ts';
import type { MigrationParts } from './parts.ts';
import { Repeats } from './writes/repeats.ts';
import { createResolveItems, Sequencer } from './writes/sequence-write.ts';
import type { CopyCause } from './ports/events.ts';
import { type WriteParts, WritePath } from './requests/write.ts';

const NO_LIMIT: BacklogLimits = { lane: Infinity, total: Infinity };

/** Creates the parts that a write passes through. */
export function createWrites(parts: MigrationParts, engine: Engine, callLegacy: CallLegacy): WritePath {
  const { clock, journal } = parts;
  const { emit } = parts.events;
  const { lanes, coverage, membership, isAlone, unjournaled, outcomeRecorder, settler } = engine;
  const { services, settings } = parts;
  const waiting = (): Iterable<Lane> => engine.deliverer.allWaiting();
  const backlog = new BacklogLimit({ limits: settings.backlog ?? NO_LIMIT, services, clock, waiting });
  const deliver: WriteParts['deliver'] = (lane, write) => {
    engine.deliverer.deliver(lane, write);
    if (backlog.isOver(lane)) settler.copyAnew(lane, 'backlog');
  };
  const tellHome: WriteParts['tellHome'] = (lane) => void engine.takeOver.tellHome(lane);
  const repeats = new Repeats({
    kept: parts.keptReplies,
    clock,
    emit,
    untilDone: (work) => outcomeRecorder.untilDone(work),
  });
  return new WritePath({
    repeats,
    isAlone,
    spill: engine.spilling?.path,
    sequencer: createSequencer(parts, engine),
    outcomeRecorder,
    lanes,
    callLegacy,
    clock,
    emit,
    coverage,
    unjournaled,
    deliver,
    tellHome,
    written: (lane) => engine.unconfirmed.note(lane.key),
    lateReplies: new LateReplies({
      journal,
      outcomeRecorder,
      emit,
      deliver,
      tellHome,
      wake: () => engine.deliverer.wake(),
    }),
    mayAct: () => membership.mayAct,
    mayPass: () => membership.mayPass,
    copySoon: (lane, reason) => copySoon(engine, lane, reason),
    settle: (lane, { service }, sentAtMs) => settler.settle(lane, service, sentAtMs),
    settleAnew: (lane, { service }, sentAtMs) => settler.settleAnew(lane, service, sentAtMs),
    gate: (operation) => settler.gate(operation.service.name, operation.deadlineAtMs),
    isShut: ({ service }) => settler.isShut(service.name),
  });
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
