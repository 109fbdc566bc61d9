/** Values of one label before the rest is counted as `other`: a set that was to be closed and is not must not fill the memory. */
const MOST_VALUES = 200;
const OTHER = 'other';

export type Labels = Readonly<Record<string, string>>;

/**
 * The label combinations of one metric as a tree, one level a label. Each combination has one label object, made when it is
 * first seen: `series.at(service).at(action).labels` allocates nothing afterwards.
 */
export class LabelSeries {
  readonly labels: Labels;
  /** What was counted for this combination, for counters. */
  total = 0;
  readonly #names: readonly string[];
  readonly #next = new Map<string, LabelSeries>();

  constructor(names: readonly string[], labels: Labels = {}) {
    this.#names = names;
    this.labels = labels;
  }

  /** The branch for the next label's value. */
  at(value: string): LabelSeries {
    return this.#next.get(value) ?? this.#branch(value);
  }

  /** Every complete combination that was seen. */
  *combinations(): Generator<LabelSeries> {
    if (this.#names.length === 0) yield this;
    for (const series of this.#next.values()) yield* series.combinations();
  }

  #branch(value: string): LabelSeries {
    const [name, ...names] = this.#names;
    if (name === undefined) throw new Error(`No label is left for the value "${value}"`);
    if (this.#next.size >= MOST_VALUES && value !== OTHER) return this.at(OTHER);
    const series = new LabelSeries(names, { ...this.labels, [name]: value });
    this.#next.set(value, series);
    return series;
  }
}
