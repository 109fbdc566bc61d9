import type { Clock } from '../engine/ports/ports.ts';

/** Something whose calls end at deadlines. */
export interface Deadlined {
  /** Earliest instant at which {@link Deadlined.expire} has work; Infinity if there is none. */
  nextDueMs(): number;
  expire(nowMs: number): void;
}

/** One coarse timer for the deadlines of many calls, because a timer per message would cost more than the message. */
export interface DeadlineSweep {
  add(deadlined: Deadlined): void;
  /** Announces a new deadline; starts the timer if it is stopped. */
  wake(): void;
  stop(): void;
}

/** @param resolutionMs how late a deadline may be noticed. @defaultValue 5 */
export function createDeadlineSweep(clock: Clock, resolutionMs = 5): DeadlineSweep {
  const watched: Deadlined[] = [];
  let timer: NodeJS.Timeout | undefined;

  function rest(): void {
    clearInterval(timer);
    timer = undefined;
  }

  function tick(): void {
    const nowMs = clock.now();
    let isNeeded = false;
    for (const deadlined of watched) {
      if (deadlined.nextDueMs() <= nowMs) deadlined.expire(nowMs);
      if (deadlined.nextDueMs() !== Infinity) isNeeded = true;
    }
    if (!isNeeded) rest();
  }

  return {
    add: (deadlined) => {
      watched.push(deadlined);
    },
    wake: () => {
      timer ??= setInterval(tick, resolutionMs).unref();
    },
    stop: rest,
  };
}
