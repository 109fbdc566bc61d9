/** Further values of one label count as `other`, so that a label set that is not closed by mistake does not fill the memory. */
const MOST_VALUES = 200;
const OTHER = 'other';

export type Labels = Readonly<Record<string, string>>;

/**
 * The label combinations of one metric as a tree, one level per label. Each combination has one label object, made at its first
 * use, so that `series.at(service).at(action).labels` allocates nothing afterwards.
 */
export class LabelSeries {
  readonly labels: Labels;
  /** The counter of this combination. */
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

  /** Every complete combination so far. */
  *combinations(): Generator<LabelSeries> {
    if (this.#names.length === 0) yield this;
    for (const series of this.#next.values()) yield* series.combinations();
  }

  #branch(value: string): LabelSeries {
    const [name, ...names] = this.#names;
    if (name === undefined) throw new Error(`too many label values: no label is left for "${value}"`);
    if (this.#next.size >= MOST_VALUES && value !== OTHER) return this.at(OTHER);
    const series = new LabelSeries(names, { ...this.labels, [name]: value });
    this.#next.set(value, series);
    return series;
  }
}
