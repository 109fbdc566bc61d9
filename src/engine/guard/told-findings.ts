import type { ServiceName } from '../../domain/ids.ts';
import { TRIGGERS, type Finding, type GuardStep, type Trigger } from '../ports/finding.ts';

/** A rate near its limit moves above and below it with single comparisons, so a short absence is not an end. */
const RATES: ReadonlySet<Trigger> = new Set([
  'inconsistency',
  'errors',
  'latency',
  'not_comparable',
  'not_compared',
]);

/**
 * The quietest reads that are judged are 40 in six hours, of which 12 could not be compared: one in half an hour. Two of these
 * are rarely this far apart (one pair in 400).
 */
const ENDED_AFTER_MS = 3 * 3_600_000;

interface Told {
  /** All steps that were alerted. */
  readonly steps: ReadonlySet<GuardStep>;
  readonly seenAtMs: number;
}

/** Remembers the findings that were alerted, so that each is alerted once, and once more when a further step is taken. */
export class ToldFindings {
  readonly #told = new Map<string, Told>();

  /** Returns the findings that were not alerted yet, at most one per trigger. */
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

  /** A person has judged the findings. Findings from now on are new. */
  forget(service: ServiceName): void {
    for (const trigger of TRIGGERS) this.#told.delete(`${service} ${trigger}`);
  }
}
