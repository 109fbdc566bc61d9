import type { FastifyInstance } from 'fastify';
import { noticedAfterFlip, whyNotFlippable } from '../../domain/flippable.ts';
import { laneKeyOf, type ServiceName } from '../../domain/ids.ts';
import type { Flipper } from '../../engine/flips/flipper.ts';
import type { FlipShareStore } from '../../engine/ports/flip-ports.ts';
import type { ServiceRuntime } from '../../engine/ports/service-runtime.ts';
import { type Answered, type Asked, ENDPOINTS } from '../api/endpoints.ts';
import { knownOwner, unknownService } from '../known-service.ts';
import { Refusal } from '../refusal.ts';
import { shownCounts, shownFact, shownFirst } from '../shown-flips.ts';
import { factWords } from '../views/flips.ts';
import { serve } from './serve.ts';

export interface FlipRouteParts {
  readonly services: ReadonlyMap<ServiceName, Pick<ServiceRuntime, 'name' | 'definition'>>;
  readonly flipper: Pick<Flipper, 'standing' | 'counts' | 'obstaclesOfFirst' | 'forget'>;
  readonly shares: Pick<FlipShareStore, 'hold' | 'lift' | 'nameFirst'>;
}

const LANES_SHOWN = 50;

/** How far the writes of a service have moved, and the person who stops that. */
export function registerFlipRoutes(app: FastifyInstance, parts: FlipRouteParts): void {
  const routes = new FlipRoutes(parts);
  serve(app, ENDPOINTS.showFlips, (asked) => routes.show(asked));
  serve(app, ENDPOINTS.holdFlips, (asked) => routes.hold(asked));
  serve(app, ENDPOINTS.liftFlips, (asked) => routes.lift(asked));
  serve(app, ENDPOINTS.letFirstFlip, (asked) => routes.letFirst(asked));
}

class FlipRoutes {
  readonly #parts: FlipRouteParts;

  constructor(parts: FlipRouteParts) {
    this.#parts = parts;
  }

  async show({ params }: Asked<'showFlips'>): Promise<Answered<'showFlips'>> {
    const { flipper } = this.#parts;
    const { name, definition } = this.#known(params.service);
    const { facts, judged } = await flipper.standing(name);
    const counts = await flipper.counts(name);
    return {
      service: name,
      share: facts.share?.percentage ?? 0,
      lanes: shownCounts(counts),
      facts: judged.map(shownFact),
      held:
        facts.held === undefined
          ? null
          : {
              person: facts.held.person,
              reason: facts.held.reason,
              at: new Date(facts.held.atMs).toISOString(),
            },
      goes_first: shownFirst(facts.first),
      stuck: counts.stuckLanes
        .slice(0, LANES_SHOWN)
        .map(({ dueInSeconds, ...lane }) => ({ ...lane, due_in_seconds: dueInSeconds })),
      noticed: noticedAfterFlip(definition),
      not_flippable: whyNotFlippable(definition),
    };
  }

  async hold({ params, body }: Asked<'holdFlips'>): Promise<Answered<'holdFlips'>> {
    const { name } = this.#known(params.service);
    await this.#parts.shares.hold(name, trimmed(body));
    this.#parts.flipper.forget(name);
    return { service: name, state: 'held' };
  }

  async lift({ params, body }: Asked<'liftFlips'>): Promise<Answered<'liftFlips'>> {
    const { name } = this.#known(params.service);
    if (!(await this.#parts.shares.lift(name, trimmed(body))))
      throw new Refusal(409, 'not_held', `flips of ${name} are not held`);
    this.#parts.flipper.forget(name);
    return { service: name, state: 'lifted' };
  }

  async letFirst({ params, body }: Asked<'letFirstFlip'>): Promise<Answered<'letFirstFlip'>> {
    const { shares, flipper } = this.#parts;
    const { name } = this.#known(params.service);
    const lane = laneKeyOf(name, knownOwner(body.owner));
    const { judged } = await flipper.standing(name);
    if (judged.some(({ fact, reason }) => fact === 'way_back_proven' && reason === undefined))
      throw new Refusal(409, 'way_back_proven', `the way back of ${name} is proven: no lane has to go first`);
    const obstacles = await flipper.obstaclesOfFirst(lane);
    if (obstacles === undefined)
      throw new Refusal(
        409,
        'not_on_legacy',
        `no lane ${lane} has its writes on legacy: see crossfade lanes`,
      );
    if (obstacles.length > 0) {
      const reasons = obstacles.map((fact) => factWords(shownFact(fact))).join('; ');
      throw new Refusal(409, 'not_eligible', `${lane} cannot be flipped: ${reasons}`);
    }
    const by = trimmed(body);
    if (!(await shares.nameFirst(lane, by)))
      throw new Refusal(
        409,
        'already_flipped',
        `a lane of ${name} is flipped already: its next write that is read back on legacy proves the way back`,
      );
    return { service: name, goes_first: { lane, ...by, at: new Date().toISOString() } };
  }

  #known(name: string): Pick<ServiceRuntime, 'name' | 'definition'> {
    const { services } = this.#parts;
    const known = services.get(name as ServiceName);
    if (known === undefined) throw unknownService(name, services.keys());
    return known;
  }
}

function trimmed({ person, reason }: { readonly person: string; readonly reason: string }) {
  return { person: person.trim(), reason: reason.trim() };
}
