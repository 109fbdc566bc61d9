import type { ServiceName } from '../../domain/ids.ts';
import { TRIGGERS, type Finding, type GuardStep, type Trigger } from '../ports/finding.ts';

/** A rate near its limit is above it at one comparison and below it at the next: what is away for a moment has not ended. */
const RATES: ReadonlySet<Trigger> = new Set([
  'inconsistency',
  'errors',
  'latency',
  'not_comparable',
  'not_compared',
]);

/**
 * The quietest reads that are judged at all are 40 in six hours, of which 12 could not be compared: one in half an hour. Two of those are
 * hardly ever so far apart (one pair in 400).
 */
const ENDED_AFTER_MS = 3 * 3_600_000;

interface Told {
  /** All that people have been told of. */
  readonly steps: ReadonlySet<GuardStep>;
  readonly seenAtMs: number;
}

/** What people were told of, so that they are told once, be it seen again and again, and once more where more is done about it. */
export class ToldFindings {
  readonly #told = new Map<string, Told>();

  /** Of what is found now, what nobody was told of yet: at most one finding a trigger. */
  news(service: ServiceName, findings: readonly Finding[], nowMs: number): Finding[] {
    return TRIGGERS.flatMap((trigger) => {
      const found = findings.filter((finding) => finding.trigger === trigger);
      const key = `${service} ${trigger}`;
      const told = this.#told.get(key);
      if (found.length === 0) {
        const hasEnded = !RATES.has(trigger) || nowMs - (told?.seenAtMs ?? 0) >= ENDED_AFTER_MS;
        if (hasEnded) this.#told.delete(key);
        return [];
      }
      const steps = new Set([...(told?.steps ?? []), ...found.flatMap((finding) => finding.steps)]);
      this.#told.set(key, { steps, seenAtMs: nowMs });
      const news = found.find((finding) => finding.steps.some((step) => told?.steps.has(step) !== true));
      return news === undefined ? [] : [news];
    });
  }

  /** A person has judged what was found: what is found from here on is news. */
  forget(service: ServiceName): void {
    for (const trigger of TRIGGERS) this.#told.delete(`${service} ${trigger}`);
  }
}
