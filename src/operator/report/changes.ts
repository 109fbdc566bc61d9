/** What a report counted, and how it stood in the report before. */
export class Changes {
  readonly #service: string;
  readonly #before: Readonly<Record<string, number>> | undefined;
  readonly #totals: Record<string, number>;

  /**
   * @param before totals of the report before; undefined where there is none
   * @param totals where those of this report are noted, for the next one
   */
  constructor(
    service: string,
    before: Readonly<Record<string, number>> | undefined,
    totals: Record<string, number>,
  ) {
    this.#service = service;
    const isKnown = before !== undefined && `${service} known` in before;
    this.#before = isKnown ? before : undefined;
    this.#totals = totals;
    totals[`${service} known`] = 1;
  }

  /** What came since; all of it where it was not there before, null where nothing is known of before. */
  of(name: string, value: number): number | null {
    const key = `${this.#service} ${name}`;
    this.#totals[key] = value;
    return this.#before === undefined ? null : value - (this.#before[key] ?? 0);
  }
}
