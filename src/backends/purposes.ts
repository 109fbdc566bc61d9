import type { Purpose } from '../domain/backend.ts';
import type { BackendLoad, Clock, LegacyCall, Reply } from '../engine/ports/ports.ts';
import type { BreakerSettings } from './circuit.ts';
import { Way, type CreateChannel } from './way.ts';

const PURPOSES = ['live', 'shadow', 'probe'] as const satisfies readonly Purpose[];

/** Live calls tolerate more failures, because a slow primary must not make further live calls fail. */
const DEFAULT_BREAKERS = {
  live: { failures: 20 },
  shadow: { failures: 5 },
  probe: { failures: 5 },
} as const satisfies Record<Purpose, BreakerSettings>;

export interface PurposeSettings {
  /** For messages. */
  readonly service: string;
  readonly clock: Clock;
  readonly breaker: Partial<Record<Purpose, BreakerSettings>> | undefined;
  readonly createChannel: CreateChannel;
}

export interface Purposes {
  send(call: LegacyCall): Promise<Reply>;
  load(purpose: Purpose): BackendLoad;
  start(): void;
  stop(): Promise<void>;
}

function createWay(purpose: Purpose, settings: PurposeSettings): Way {
  const breaker = settings.breaker?.[purpose] ?? DEFAULT_BREAKERS[purpose];
  return new Way(`${settings.service} (${purpose})`, breaker, settings.createChannel);
}

/** One channel and one circuit breaker for each purpose, so that live traffic never waits behind the others. */
export function createPurposes(settings: PurposeSettings): Purposes {
  const ways: Record<Purpose, Way> = {
    live: createWay('live', settings),
    shadow: createWay('shadow', settings),
    probe: createWay('probe', settings),
  };
  let firstProbeAtMs = Infinity;
  let firstAnswerAtMs = Infinity;

  /**
   * Two probes, the second sent after the first was answered, prove that a serial server has received every call sent before the
   * first. Calls that are still unanswered then will never be answered.
   */
  function probeAnswered(startedAtMs: number): void {
    if (startedAtMs >= firstAnswerAtMs) {
      ways.live.releaseSentBefore(firstProbeAtMs);
      ways.shadow.releaseSentBefore(firstProbeAtMs);
    } else if (firstAnswerAtMs !== Infinity) return;
    firstProbeAtMs = startedAtMs;
    firstAnswerAtMs = settings.clock.now();
  }

  async function probe(call: LegacyCall): Promise<Reply> {
    const startedAtMs = settings.clock.now();
    const reply = await ways.probe.send(call);
    probeAnswered(startedAtMs);
    return reply;
  }

  return {
    send: (call) => (call.purpose === 'probe' ? probe(call) : ways[call.purpose].send(call)),
    load: (purpose) => ways[purpose].load(),
    start: () => {
      for (const purpose of PURPOSES) ways[purpose].start();
    },
    stop: async () => {
      await Promise.all(PURPOSES.map((purpose) => ways[purpose].stop()));
    },
  };
}
