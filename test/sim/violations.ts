/** The invariants of src/engine/README.md that a run can break. */
export const INVARIANTS = ['I1', 'I2', 'I3', 'I4', 'I5', 'I6', 'I7', 'I8', 'I9', 'I10'] as const;

export type Invariant = (typeof INVARIANTS)[number];

export interface Violation {
  readonly invariant: Invariant;
  readonly message: string;
}

/** What was found wrong in one run, each message once. */
export class Violations {
  readonly #found = new Map<string, Violation>();

  add(invariant: Invariant, message: string): void {
    this.#found.set(`${invariant} ${message}`, { invariant, message });
  }

  get all(): readonly Violation[] {
    return [...this.#found.values()];
  }
}
