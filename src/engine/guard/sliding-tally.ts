import type { Tally } from '../evidence/rate-bounds.ts';

/** The length of a window. */
export interface WindowSize {
  readonly name: WindowName;
  readonly slotMs: number;
  readonly slots: number;
}

export type WindowName = '1m' | '15m' | '6h';

export const QUARTER: WindowSize = { name: '15m', slotMs: 10_000, slots: 90 };

export const LONGEST_WINDOW: WindowSize = { name: '6h', slotMs: 60_000, slots: 360 };

/**
 * Chosen by simulation (test/unit/engine/guard/windows-simulation.test.ts). One minute finds a 1 % difference within a minute at
 * 50 comparisons per second. 15 minutes suit 0.3 comparisons per second of a first few users. Six hours find a rate just above
 * the limit.
 */
export const WINDOWS: readonly WindowSize[] = [
  { name: '1m', slotMs: 1_000, slots: 60 },
  QUARTER,
  LONGEST_WINDOW,
];

/** A tally of the last slots, in constant memory. What leaves the window is subtracted. */
export class SlidingTally implements Tally {
  readonly #size: WindowSize;
  readonly #hits: Float64Array;
  readonly #tries: Float64Array;
  /** Number of the newest slot since the clock's zero. */
  #newest = -Infinity;
  hits = 0;
  tries = 0;

  constructor(size: WindowSize) {
    this.#size = size;
    this.#hits = new Float64Array(size.slots);
    this.#tries = new Float64Array(size.slots);
  }

  /** Slots older than the window are left out. */
  add(atMs: number, { hits, tries }: Tally): void {
    const slot = Math.floor(atMs / this.#size.slotMs);
    if (slot > this.#newest) this.advance(atMs);
    if (slot <= this.#newest - this.#size.slots) return;
    const at = this.#at(slot);
    this.#hits[at] = (this.#hits[at] ?? 0) + hits;
    this.#tries[at] = (this.#tries[at] ?? 0) + tries;
    this.hits += hits;
    this.tries += tries;
  }

  /** Moves the window's end to `nowMs`. */
  advance(nowMs: number): void {
    const slot = Math.floor(nowMs / this.#size.slotMs);
    if (slot <= this.#newest) return;
    const first = Math.max(this.#newest + 1, slot - this.#size.slots + 1);
    for (let leaving = first; leaving <= slot; leaving += 1) {
      const at = this.#at(leaving);
      this.hits -= this.#hits[at] ?? 0;
      this.tries -= this.#tries[at] ?? 0;
      this.#hits[at] = 0;
      this.#tries[at] = 0;
    }
    this.#newest = slot;
  }

  /** The clock was set back to `nowMs`. The counts keep their age. */
  setBack(nowMs: number): void {
    const by = this.#newest - Math.floor(nowMs / this.#size.slotMs);
    if (by <= 0 || by === Infinity) return;
    const [hits, tries] = [this.#hits.slice(), this.#tries.slice()];
    for (let at = 0; at < this.#size.slots; at += 1) {
      const from = this.#at(at + by);
      this.#hits[at] = hits[from] ?? 0;
      this.#tries[at] = tries[from] ?? 0;
    }
    this.#newest -= by;
  }

  #at(slot: number): number {
    const { slots } = this.#size;
    return ((slot % slots) + slots) % slots;
  }
}
