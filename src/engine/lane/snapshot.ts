import type { Lane } from './lane.ts';

/** A lane at one moment: two equal snapshots with no write in flight saw the same contents. */
export class Snapshot {
  readonly #lane: Lane;
  readonly #activity: number;
  readonly #isQuiet: boolean;
  /** Names the contents: while it is the same, nothing was written through the proxy that this replica knows of. */
  readonly place: string;

  constructor(lane: Lane) {
    this.#lane = lane;
    this.#activity = lane.activity;
    this.#isQuiet = lane.inFlight === 0;
    this.place = `${lane.generation}.${lane.sequence}`;
  }

  /** Whether no write of the lane was under way since. */
  get stillHolds(): boolean {
    return this.#isQuiet && this.#lane.activity === this.#activity;
  }
}
