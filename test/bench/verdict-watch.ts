import type { Comparison } from '../../src/domain/comparison.ts';
import { parseLaneKey, sessionIdOf, type LaneKey } from '../../src/domain/ids.ts';
import type { EventName, Listener, MigrationEvents } from '../../src/engine/ports/events.ts';
import { contextualMemory } from '../../src/services/contextual-memory/contextual-memory.ts';
import { jarvisMemory } from '../../src/services/jarvis-memory.ts';
import { sessionMemory } from '../../src/services/session-memory/session-memory.ts';
import expiring from './verdict-expiring.ts';
import measured from './verdict-measured.ts';
import ranked from './verdict-ranked.ts';

/** What the product said of one read. */
export interface Concluded {
  /** Undefined where there was no conclusion in time. */
  readonly comparison?: Comparison;
  readonly isInjected: boolean;
  /** Whether the orchestrator, or this machine, took long by itself. */
  readonly wasBusy: boolean;
  /** What the pair of answers showed of the orchestrator: its failure, or how long it took. Absent where it was not asked. */
  readonly pair?: { readonly isFailure: boolean; readonly ms?: number };
}

type ConcludedBy = 'comparison' | 'reply';

interface Waiting {
  readonly by: ConcludedBy;
  tell(concluded: Concluded): void;
}

export interface Totals {
  match: number;
  mismatch: number;
  not_comparable: number;
}

/** A mismatch that the product reported, for people who look for its cause. */
export interface Alarm {
  readonly service: string;
  readonly action: string;
  readonly lane: LaneKey;
  readonly operationId: string;
  readonly comparison: Comparison;
}

/** Mismatches that are kept; the others are only counted. */
const ALARMS_KEPT = 20;

type Handlers = { readonly [Name in EventName]?: (event: MigrationEvents[Name]) => void };

/** Listens to the engine: what became of the reads of each lane. */
export class VerdictWatch {
  readonly totals: Totals = { match: 0, mismatch: 0, not_comparable: 0 };
  /** Why reads, or whole lanes, could not be compared: `get_context racy`. */
  readonly notCompared = new Map<string, number>();
  readonly alarms: Alarm[] = [];
  readonly tripped = new Map<string, string>();
  /** Whether what the orchestrator last said about a lane was broken. */
  isBroken: (lane: LaneKey) => boolean = () => false;
  /** Whether that answer came late without being delayed. */
  wasBusy: (lane: LaneKey) => boolean = () => false;
  readonly #waiting = new Map<LaneKey, Waiting>();
  /** Highest sequence that has reached the orchestrator, and who waits for more. */
  readonly #delivered = new Map<LaneKey, number>();
  readonly #awaiting = new Map<LaneKey, { readonly sequence: number; readonly resolve: () => void }>();
  readonly #pairs = new Map<LaneKey, NonNullable<Concluded['pair']>>();
  readonly #handlers: Handlers = {
    'shadow:paired': ({ lane, orchestrator }) => this.#pairs.set(lane, orchestrator),
    'shadow:compared': (event) => {
      this.#count(event, event.action);
      if (this.#waiting.get(event.lane)?.by === 'comparison') this.#concluded(event.lane, event.comparison);
    },
    'lane:compared': (event) => this.#count(event, 'whole lane'),
    'delivery:applied': ({ lane, sequence }) => {
      this.#delivered.set(lane, Math.max(sequence, this.#delivered.get(lane) ?? 0));
      const waiter = this.#awaiting.get(lane);
      if (waiter !== undefined && waiter.sequence <= sequence) waiter.resolve();
    },
    'operation:replied': ({ kind, backend, lane, primaryMs }) => {
      if (kind !== 'read' || lane === undefined || this.#waiting.get(lane)?.by !== 'reply') return;
      this.#pairs.delete(lane);
      if (backend === 'orchestrator') this.#pairs.set(lane, { isFailure: false, ms: primaryMs });
      this.#concluded(lane);
    },
    'guard:tripped': ({ service, finding }) => this.tripped.set(service, finding.trigger),
  };
  readonly listener: Listener = (name, event) => this.#handlers[name]?.(event);

  /** The next conclusion about this lane: its comparison, or the reply itself where the guard drops shadow reads. */
  next(lane: LaneKey, withinMs: number, by: ConcludedBy): Promise<Concluded> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        this.#waiting.delete(lane);
        resolve({ isInjected: this.isBroken(lane), wasBusy: this.wasBusy(lane) });
      }, withinMs);
      this.#pairs.delete(lane);
      const tell = (concluded: Concluded): void => {
        clearTimeout(timer);
        resolve(concluded);
      };
      this.#waiting.set(lane, { by, tell });
    });
  }

  /** When the lane's writes have reached the orchestrator up to this one, or after so long. */
  delivered(lane: LaneKey, sequence: number, withinMs: number): Promise<void> {
    if ((this.#delivered.get(lane) ?? 0) >= sequence) return Promise.resolve();
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        this.#awaiting.delete(lane);
        resolve();
      };
      const timer = setTimeout(done, withinMs);
      this.#awaiting.set(lane, { sequence, resolve: done });
    });
  }

  #count(alarm: Alarm, what: string): void {
    const { verdict, reason } = alarm.comparison;
    this.totals[verdict] += 1;
    if (verdict === 'mismatch' && this.alarms.length < ALARMS_KEPT) this.alarms.push(alarm);
    if (verdict !== 'not_comparable') return;
    const why = `${what} ${reason}`;
    this.notCompared.set(why, (this.notCompared.get(why) ?? 0) + 1);
  }

  #concluded(lane: LaneKey, comparison?: Comparison): void {
    const pair = this.#pairs.get(lane);
    const waiting = this.#waiting.get(lane);
    this.#waiting.delete(lane);
    waiting?.tell({
      isInjected: this.isBroken(lane),
      wasBusy: this.wasBusy(lane),
      ...(comparison !== undefined && { comparison }),
      ...(pair !== undefined && { pair }),
    });
  }
}

const DEFINITIONS = [sessionMemory, contextualMemory, jarvisMemory, ranked, measured, expiring];

/** The orchestrator's session of a lane. */
export function sessionOfLane(lane: LaneKey): string {
  const { service, owner } = parseLaneKey(lane);
  const definition = DEFINITIONS.find(({ name }) => name === service);
  return sessionIdOf(definition?.lanes.sessionPrefix ?? '', owner);
}
