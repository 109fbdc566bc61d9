/** Compares the totals of a report with those of the report before. */
export class Changes {
  readonly #service: string;
  readonly #before: Readonly<Record<string, number>> | undefined;
  readonly #totals: Record<string, number>;

  /**
   * @param before totals of the report before; undefined if there is none
   * @param totals receives the totals of this report, for the next one
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

  /** The increase since the report before. The full value if it was not counted before. Null without a report before. */
  of(name: string, value: number): number | null {
    const key = `${this.#service} ${name}`;
    this.#totals[key] = value;
    return this.#before === undefined ? null : value - (this.#before[key] ?? 0);
  }
}
