import type { Lane } from './lane.ts';

/** A lane at one moment. If two snapshots are equal and no write was in flight, its contents did not change. */
export class Snapshot {
  readonly #lane: Lane;
  readonly #activity: number;
  readonly #isQuiet: boolean;
  /** Identifies the contents. While it is equal, no write that this replica knows passed through the proxy. */
  readonly place: string;

  constructor(lane: Lane) {
    this.#lane = lane;
    this.#activity = lane.activity;
    this.#isQuiet = lane.inFlight === 0;
    this.place = `${lane.generation}.${lane.sequence}`;
  }

  /** Whether no write of the lane was in flight since. */
  get stillHolds(): boolean {
    return this.#isQuiet && this.#lane.activity === this.#activity;
  }
}
