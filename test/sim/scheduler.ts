import type { Random } from './random.ts';
import type { Trace } from './trace.ts';

/** Whose step it is: a proxy process that can die or stand still, or the world around it. */
export interface Owner {
  readonly name: string;
  isDead: boolean;
  /** Nothing of it runs before this instant. */
  pausedUntilMs: number;
  /** What its wall clock is wrong by. */
  clockErrorMs: number;
}

export interface Step {
  readonly owner: Owner;
  readonly what: string;
  readonly run: () => void;
  atMs: number;
  /** Decides between steps of one instant: drawn by the seed, equal for timers, which keep their order. */
  readonly tie: number;
  readonly number: number;
  isCancelled: boolean;
}

export function ownerNamed(name: string): Owner {
  return { name, isDead: false, pausedUntilMs: 0, clockErrorMs: 0 };
}

const TIMER_TIE = 0.5;
/** The loop's own, taken before the globals are replaced. */
const nextTurn = setImmediate;

/**
 * Virtual time. One step runs at a time, then every promise that it settled is followed to its end; the next step is the earliest,
 * and of several at one instant the seed picks. So a run is its seed, and a crash between two steps is a crash at an await.
 */
export class Scheduler {
  readonly world: Owner = ownerNamed('world');
  readonly #random: Random;
  readonly #trace: Trace;
  readonly #heap: Step[] = [];
  /** Whose code runs now: timers that it sets are its own. */
  current: Owner = this.world;
  nowMs = 0;
  /** Hours that nobody used, left out of the run: they show on wall clocks only. */
  readonly idles: { readonly atMs: number; readonly ms: number }[] = [];
  steps = 0;
  #number = 0;
  /** Called after every step, when nothing runs. */
  afterStep: (step: Step) => void = () => undefined;

  constructor(random: Random, trace: Trace) {
    this.#random = random;
    this.#trace = trace;
  }

  get idleMs(): number {
    return this.idles.reduce((sum, { ms }) => sum + ms, 0);
  }

  /** Something that comes from outside: between equals the seed decides. */
  after(ms: number, what: string, run: () => void): Step {
    return this.#add(this.world, { ms, what, run, tie: this.#random.next() });
  }

  /** The same, as a step of a process. */
  afterFor(owner: Owner, ms: number, step: { readonly what: string; readonly run: () => void }): Step {
    return this.#add(owner, { ms, ...step, tie: this.#random.next() });
  }

  /** A timer of whoever runs now. */
  timer(ms: number, run: () => void): Step {
    return this.#add(this.current, { ms, what: 'timer', run, tie: TIMER_TIE });
  }

  /** Runs until nothing is left, the condition holds, or the instant has come. True where the condition held. */
  async run(untilMs: number, isDone: () => boolean): Promise<boolean> {
    for (;;) {
      if (isDone()) return true;
      const step = this.#heap[0];
      if (step === undefined || step.atMs > untilMs) {
        this.nowMs = Math.max(this.nowMs, untilMs);
        return isDone();
      }
      this.#pop();
      if (!this.#isDue(step)) continue;
      await this.#run(step);
    }
  }

  #isDue(step: Step): boolean {
    if (step.isCancelled || step.owner.isDead) return false;
    if (step.owner.pausedUntilMs <= Math.max(step.atMs, this.nowMs)) return true;
    step.atMs = step.owner.pausedUntilMs;
    this.#push(step);
    return false;
  }

  async #run(step: Step): Promise<void> {
    this.nowMs = Math.max(this.nowMs, step.atMs);
    this.steps += 1;
    this.current = step.owner;
    if (step.tie !== TIMER_TIE) this.#trace.add(this.nowMs, step.owner.name, step.what);
    step.run();
    await new Promise<void>((resolve) => nextTurn(resolve));
    this.current = this.world;
    this.afterStep(step);
  }

  #add(
    owner: Owner,
    facts: { readonly ms: number; readonly what: string; readonly run: () => void; readonly tie: number },
  ): Step {
    this.#number += 1;
    const { ms, ...rest } = facts;
    const step = {
      ...rest,
      owner,
      atMs: this.nowMs + Math.max(0, ms),
      number: this.#number,
      isCancelled: false,
    };
    this.#push(step);
    return step;
  }

  #push(step: Step): void {
    const heap = this.#heap;
    let at = heap.push(step) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = heap[parent];
      if (above === undefined || !isBefore(step, above)) break;
      heap[at] = above;
      at = parent;
    }
    heap[at] = step;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    let at = 0;
    for (;;) {
      const child = this.#smallerChild(at);
      const step = heap[child];
      if (step === undefined || !isBefore(step, last)) break;
      heap[at] = step;
      at = child;
    }
    heap[at] = last;
  }

  #smallerChild(at: number): number {
    const [left, right] = [this.#heap[2 * at + 1], this.#heap[2 * at + 2]];
    return left !== undefined && right !== undefined && isBefore(right, left) ? 2 * at + 2 : 2 * at + 1;
  }
}

function isBefore(a: Step, b: Step): boolean {
  if (a.atMs !== b.atMs) return a.atMs < b.atMs;
  return a.tie === b.tie ? a.number < b.number : a.tie < b.tie;
}
