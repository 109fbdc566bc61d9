import { createRequire, syncBuiltinESMExports } from 'node:module';
import type { Random } from './random.ts';
import type { Scheduler, Step } from './scheduler.ts';

/** Where every simulated day begins. */
const EPOCH_MS = Date.UTC(2026, 10, 21, 8);

let active: { readonly scheduler: Scheduler; readonly random: Random } | undefined;

/** Makes timers, `Date.now` and `randomUUID` those of one run. Nothing else reads a clock or draws by chance. */
export function useFor(scheduler: Scheduler, random: Random): void {
  active = { scheduler, random };
}

export function virtualWallMs(scheduler: Scheduler): number {
  return EPOCH_MS + Math.round(scheduler.nowMs) + scheduler.idleMs;
}

/** The virtual instant at which a wall clock showed this. */
export function virtualInstantOf(wallMs: number, { idles }: Scheduler): number {
  return idles.reduce(
    (sinceMs, { atMs, ms }) => (sinceMs > atMs ? Math.max(atMs, sinceMs - ms) : sinceMs),
    wallMs - EPOCH_MS,
  );
}

/** What a wall clock showed at a virtual instant. */
export function virtualWallOf(instantMs: number, { idles }: Scheduler): number {
  return idles.reduce(
    (wallMs, { atMs, ms }) => (atMs <= instantMs ? wallMs + ms : wallMs),
    EPOCH_MS + instantMs,
  );
}

function present(): { readonly scheduler: Scheduler; readonly random: Random } {
  if (active === undefined) throw new Error('No run is active');
  return active;
}

/** What Node's own timers offer beside being a handle. */
class VirtualTimer {
  #step: Step;

  constructor(ms: number, run: () => void) {
    this.#step = present().scheduler.timer(ms, run);
  }

  /** Again and again, until it is cancelled. */
  static every(ms: number, run: () => void): VirtualTimer {
    const again = (): void => {
      timer.#step = present().scheduler.timer(ms, again);
      run();
    };
    const timer = new VirtualTimer(ms, again);
    return timer;
  }

  ref(): this {
    return this;
  }

  unref(): this {
    return this;
  }

  cancel(): void {
    this.#step.isCancelled = true;
  }
}

function cancel(timer: unknown): void {
  if (timer instanceof VirtualTimer) timer.cancel();
}

/** Replaces the globals of this thread, for good: meant for a worker of its own. */
export function replaceGlobals(): void {
  Object.assign(globalThis, {
    setTimeout: (run: () => void, ms = 0) => new VirtualTimer(ms, run),
    setImmediate: (run: () => void) => new VirtualTimer(0, run),
    clearTimeout: cancel,
    clearImmediate: cancel,
    clearInterval: cancel,
    setInterval: (run: () => void, ms = 1) => VirtualTimer.every(Math.max(1, ms), run),
  });
  Date.now = () => (active === undefined ? EPOCH_MS : virtualWallMs(active.scheduler));
  const crypto = createRequire(import.meta.url)('node:crypto') as { randomUUID: () => string };
  crypto.randomUUID = () => present().random.uuid();
  syncBuiltinESMExports();
}
