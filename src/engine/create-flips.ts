import { whyNotFlippable } from '../domain/flippable.ts';
import { type LaneKey, laneKeyOf, type Owner, type ServiceName } from '../domain/ids.ts';
import type { LaneComparing } from './create-lane-comparing.ts';
import type { Engine } from './engine.ts';
import type { ServiceFlipFacts } from './flips/eligibility.ts';
import { Births } from './flips/births.ts';
import { createFlipLane } from './flips/flip-lane.ts';
import { Flipper } from './flips/flipper.ts';
import type { FlipEdges, MigrationParts } from './parts.ts';
import { NO_LIMITS } from './ports/decision.ts';
import { decide } from './requests/decide.ts';
import { LiveLatency, Pace } from './runs/pace.ts';

interface Flips {
  readonly flipper: Flipper | undefined;
  readonly births: Births | undefined;
}

/** Creates what moves lanes to the orchestrator. Nothing, if no lane is ever flipped. */
export function createFlips(
  parts: MigrationParts,
  engine: Engine,
  comparing: Pick<LaneComparing, 'comparer'> | undefined,
): Flips {
  const { flips, clock, events } = parts;
  const { lanes, shares } = engine;
  if (flips === undefined || shares === undefined) return { flipper: undefined, births: undefined };
  const flipper = createFlipper(parts, engine, { flips, comparing });
  const isReady = (service: ServiceName): boolean => flipper.isReady(service);
  const births = new Births({ store: flips.store, shares, isReady, lanes, clock, emit: events.emit });
  return { flipper, births };
}

interface FlipperEdges {
  readonly flips: FlipEdges;
  readonly comparing: Pick<LaneComparing, 'comparer'> | undefined;
}

function createFlipper(parts: MigrationParts, engine: Engine, { flips, comparing }: FlipperEdges): Flipper {
  const { clock, journal, events, services } = parts;
  const { lanes, deliverer, membership } = engine;
  const { emit } = events;
  return new Flipper({
    book: flips.book,
    services: [...services.keys()],
    isMoving: (service) => (engine.shares?.of(service)?.percentage ?? 0) > 0,
    factsOf: (service) => serviceFacts(service, flips, { parts, engine }),
    isSelected: (service, owner, atMost) =>
      parts.flags.isEnabled('write-cutover', { service, owner, lane: laneKeyOf(service, owner), atMost })
        .enabled,
    areReadsMoved: (service, owner) => areReadsMoved(parts, engine, { service, owner }),
    digestOf: flips.digestOf,
    limits: flips.settings,
    flipLane: createFlipLane({
      store: flips.store,
      journal,
      clock,
      emit,
      hurry: (lane) => deliverer.hurry(lane),
      placeOf: async (lane, deadlineAtMs) => engine.restored?.placeOf(lane, deadlineAtMs),
      isInUse: (lane) =>
        engine.copies.holds(lane) || lane.isSettling || lane.isClosing || lane.closesAtMs > 0,
      mayAct: () => membership.mayAct,
    }),
    lanes,
    compare:
      comparing && ((service, owner, patience) => comparing.comparer.compare(service, owner, patience)),
    pace: createPacing(parts, engine, flips.settings.perSecond),
    clock,
    emit,
  });
}

/**
 * A flipped write takes some milliseconds longer by its nature, so the increase alone must not slow the flips. This is a tenth
 * of the added latency at which the guard acts.
 */
const LEAST_RISE_MS = 10;

/** All replicas together flip no more lanes per second, and fewer while agents wait longer than before. */
function createPacing({ clock, events }: MigrationParts, { membership }: Engine, perSecond: number) {
  const latency = new LiveLatency(clock);
  events.subscribe(latency.listener);
  return () =>
    new Pace({
      clock,
      most: 1,
      leastRiseMs: LEAST_RISE_MS,
      liveP95: () => latency.lastSecond(),
      slower: (thanMs) => latency.slower(thanMs),
      calmP95: latency.lately(),
      latelyP95: () => latency.lately(),
      embeddingLine: () => 0,
      rate: perSecond / membership.counts().live,
    });
}

interface Facts {
  readonly parts: MigrationParts;
  readonly engine: Engine;
}

async function serviceFacts(
  service: ServiceName,
  { book, provenAt, shares: store }: FlipEdges,
  { parts: { services, flags, readLimits = NO_LIMITS, clock }, engine: { shares, coverage } }: Facts,
): Promise<ServiceFlipFacts> {
  const definition = services.get(service)?.definition;
  const { atMost = 0, ifProven, latch, isRampHeld, areFlipsHeld } = readLimits.writes(service);
  const asked = flags.percentage('write-cutover', service);
  const proof = await provenAt(service);
  return {
    ...(await book.standing(service)),
    notFlippable: definition === undefined ? 0 : whyNotFlippable(definition).length,
    isCovered: (coverage.get(service)?.number ?? 0) > 0,
    share: shares?.of(service),
    permittedPercentage: Math.min(asked, atMost),
    provenPercentage: Math.min(asked, ifProven),
    provenAgoSeconds: proof && Math.max(0, clock.wallMs() - proof.atMs) / 1_000,
    isKilled: flags.killSwitch(),
    latch,
    isRampHeld,
    areFlipsHeld,
    first: await store.firstLane(service),
  };
}

/** Whether the orchestrator answers every read of the lane that it can answer at all. */
function areReadsMoved(
  { services, flags, readLimits }: MigrationParts,
  { coverage }: Engine,
  { service, owner }: { readonly service: ServiceName; readonly owner: Owner },
): boolean {
  const lane: LaneKey = laneKeyOf(service, owner);
  const isCovered = (coverage.get(service)?.number ?? 0) > 0;
  return Object.entries(services.get(service)?.definition.actions ?? {}).every(([action, definition]) => {
    if (definition.kind !== 'read' || definition.legacyOnly !== undefined) return true;
    const context = { service, owner, lane, action };
    return decide(definition, isCovered, { flags, context, limits: readLimits }).primary === 'orchestrator';
  });
}
