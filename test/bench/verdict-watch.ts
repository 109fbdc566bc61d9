import { parseLaneKey, sessionIdOf, type LaneKey } from '../../src/domain/ids.ts';
import type { EventName, Listener, MigrationEvents } from '../../src/migration/events.ts';
import { sessionMemory } from '../../src/services/session-memory.ts';
import expiring from './verdict-expiring.ts';
import measured from './verdict-measured.ts';
import ranked from './verdict-ranked.ts';

/** What the product said of one read. */
export interface Concluded {
  /** Undefined where there was no conclusion in time. */
  readonly verdict?: 'match' | 'mismatch' | 'not_comparable';
  readonly isInjected: boolean;
  /** What the pair of answers showed of the orchestrator: its failure, or how long it took. Absent where it was not asked. */
  readonly pair?: { readonly isFailure: boolean; readonly ms?: number };
}

export interface Totals {
  match: number;
  mismatch: number;
  not_comparable: number;
}

type Handlers = { readonly [Name in EventName]?: (event: MigrationEvents[Name]) => void };

/** Listens to the engine: what became of the reads of each lane. */
export class VerdictWatch {
  readonly totals: Totals = { match: 0, mismatch: 0, not_comparable: 0 };
  readonly tripped = new Map<string, string>();
  /** Whether what the orchestrator last said about a lane was broken. */
  isBroken: (lane: LaneKey) => boolean = () => false;
  readonly #waiting = new Map<LaneKey, (concluded: Concluded) => void>();
  readonly #pairs = new Map<LaneKey, NonNullable<Concluded['pair']>>();
  readonly #handlers: Handlers = {
    'shadow:paired': ({ lane, orchestrator }) => this.#pairs.set(lane, orchestrator),
    'shadow:compared': ({ lane, comparison }) => this.#concluded(lane, comparison.verdict),
    'guard:tripped': ({ service, finding }) => this.tripped.set(service, finding.trigger),
  };
  readonly listener: Listener = (name, event) => this.#handlers[name]?.(event);

  /** The next conclusion about this lane. */
  next(lane: LaneKey, withinMs: number): Promise<Concluded> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        this.#waiting.delete(lane);
        resolve({ isInjected: this.isBroken(lane) });
      }, withinMs);
      this.#pairs.delete(lane);
      this.#waiting.set(lane, (concluded) => {
        clearTimeout(timer);
        resolve(concluded);
      });
    });
  }

  #concluded(lane: LaneKey, verdict: keyof Totals): void {
    this.totals[verdict] += 1;
    const pair = this.#pairs.get(lane);
    const tell = this.#waiting.get(lane);
    this.#waiting.delete(lane);
    tell?.({ verdict, isInjected: this.isBroken(lane), ...(pair !== undefined && { pair }) });
  }
}

const DEFINITIONS = [sessionMemory, ranked, measured, expiring];

/** The orchestrator's session of a lane. */
export function sessionOfLane(lane: LaneKey): string {
  const { service, owner } = parseLaneKey(lane);
  const definition = DEFINITIONS.find(({ name }) => name === service);
  return sessionIdOf(definition?.lanes.sessionPrefix ?? '', owner);
}
