import { vi } from 'vitest';
import type { LaneState } from '../../../src/domain/lane.ts';
import {
  laneKeyOf,
  operationId,
  serviceName,
  type LaneKey,
  type Owner,
  type ServiceName,
} from '../../../src/domain/ids.ts';
import type { Emit, EventName } from '../../../src/engine/ports/events.ts';
import { Lane } from '../../../src/engine/lane/lane.ts';
import type { Clock } from '../../../src/shared/clock.ts';
import type { Signals } from '../../../src/engine/signals.ts';
import type { FlagContext, Flags, Journal, PendingWrite } from '../../../src/engine/ports/ports.ts';

export const SERVICE: ServiceName = serviceName('jarvis-memory');

export function ownerNamed(name: string): Owner {
  return name as Owner;
}

/** A clock that stands still until it is told to pass; it needs vitest's fake timers. */
export interface FakeClock extends Clock {
  pass(ms: number): Promise<void>;
}

export function fakeClock(): FakeClock {
  let nowMs = 0;
  return {
    now: () => nowMs,
    wallMs: () => nowMs,
    sleep: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
    async pass(ms) {
      nowMs += ms;
      await vi.advanceTimersByTimeAsync(ms);
    },
  };
}

export function laneNamed(name: string): Lane {
  return new Lane(SERVICE, ownerNamed(name), fakeClock());
}

/** A write of the lane begins and ends. */
export function writeOnce(lane: Lane): void {
  lane.beginWrite();
  lane.endWrite();
}

export function stateOf(lane: { readonly key: string }, facts: Partial<LaneState> = {}): LaneState {
  return {
    id: lane.key.length,
    sequence: 0,
    generation: 0,
    epoch: 0,
    primary: 'legacy',
    condition: 'clean',
    reason: '',
    seededCoverage: 0,
    exceptions: 0,
    finding: 0,
    deliveredSequence: 0,
    mayRepeat: false,
    foundUncertain: 0,
    isHome: true,
    ...facts,
  };
}

export function writeOf(lane: { readonly key: LaneKey }, sequence: number, request = '{}'): PendingWrite {
  return {
    laneId: 1,
    lane: lane.key,
    sequence,
    operationId: operationId(`operation-${sequence}`),
    action: 'add_memory',
    request,
    acceptedAtMs: 0,
  };
}

/** A journal that can only be read: its lanes, and the applied writes it holds. */
export function readableJournal(facts: {
  readonly lanes?: readonly { readonly owner: string; readonly state: Partial<LaneState> }[];
  readonly writes?: readonly PendingWrite[];
  readonly asked?: string[];
}): Journal {
  const states = new Map(
    (facts.lanes ?? []).map(({ owner, state }) => {
      const key = laneKeyOf(SERVICE, ownerNamed(owner));
      return [key, stateOf({ key }, state)];
    }),
  );
  const reads: Pick<Journal, 'lanes' | 'pending'> = {
    async lanes(keys) {
      facts.asked?.push(...keys);
      return new Map([...states].filter(([key]) => keys.includes(key)));
    },
    async pending(lane, after, most) {
      facts.asked?.push(`${lane} after ${after}`);
      const writes = (facts.writes ?? []).filter((write) => write.lane === lane && write.sequence > after);
      let bytes = 0;
      return writes.slice(0, most.writes).filter(({ request }) => {
        bytes += request.length;
        return bytes - request.length < most.bytes;
      });
    },
  };
  return reads as Journal;
}

export interface Recorded {
  readonly emit: Emit;
  readonly names: () => EventName[];
  readonly events: { readonly name: EventName; readonly event: object }[];
}

export function recorder(): Recorded {
  const events: Recorded['events'] = [];
  return {
    events,
    emit: (name, event) => void events.push({ name, event }),
    names: () => events.map(({ name }) => name),
  };
}

/** Flags of which only the named ones are on. */
export function flagsThatAreOn(
  names: readonly string[],
  seen: FlagContext[] = [],
): Flags & { readonly seen: FlagContext[] } {
  return {
    seen,
    isEnabled(flag, context) {
      seen.push(context);
      if (context.atMost === 0) return { enabled: false, reason: 'off' };
      return names.includes(flag) ? { enabled: true, reason: 'on' } : { enabled: false, reason: 'off' };
    },
    killSwitch: () => names.includes('kill-switch'),
    percentage: () => 0,
    version: () => 1,
    onChange: () => undefined,
  };
}

/** Signals to parts that a test leaves out. */
export const NO_SIGNALS: Signals = {
  note: () => undefined,
  copyAnew: () => undefined,
  overtaken: async () => undefined,
  letGo: async () => undefined,
  busy: () => undefined,
  replicasChanged: async () => true,
  beatNow: () => undefined,
  spilled: () => undefined,
  recover: async () => undefined,
};
