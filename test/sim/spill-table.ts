interface SpillRow {
  replayed: number;
  openSinceMs: number | undefined;
}

/** The rows of `spills`. */
export class SpillTable {
  readonly #now: () => number;
  readonly #rows = new Map<string, SpillRow>();

  constructor(now: () => number) {
    this.#now = now;
  }

  /** There may be something in it that nobody knows. */
  open(id: string): void {
    const row = this.#of(id);
    row.openSinceMs ??= this.#now();
  }

  close(id: string): void {
    this.#of(id).openSinceMs = undefined;
  }

  isAnyOpen(except?: string): boolean {
    return [...this.#rows].some(([id, { openSinceMs }]) => openSinceMs !== undefined && id !== except);
  }

  /** Those that are open for so long, and that nobody works on, are waited for no longer. Whether there were any. */
  giveUp(seconds: number, isWorkedOn: (id: string) => boolean): boolean {
    const before = this.#now() - seconds * 1_000;
    const lost = [...this.#rows].filter(
      ([id, { openSinceMs = Infinity }]) => openSinceMs < before && !isWorkedOn(id),
    );
    for (const [, row] of lost) row.openSinceMs = undefined;
    return lost.length > 0;
  }

  progress(id: string): number {
    return this.#rows.get(id)?.replayed ?? 0;
  }

  /** False where the journal holds another part of it than was believed. */
  advance(id: string, after: number, through: number): boolean {
    const row = this.#of(id);
    if (row.replayed !== after) return false;
    row.replayed = through;
    return true;
  }

  #of(id: string): SpillRow {
    const known = this.#rows.get(id);
    if (known !== undefined) return known;
    const row: SpillRow = { replayed: 0, openSinceMs: undefined };
    this.#rows.set(id, row);
    return row;
  }
}
