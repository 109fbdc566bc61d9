import { createProgressBar } from '../support/progress.ts';
import { median, type Sample } from './samples.ts';

/** One thing that is measured in every round. */
export interface Cell {
  readonly path: string;
  readonly clients: number;
  /** Cells of one group are measured right after each other, in another order in every round. */
  readonly group: string;
}

/** A cell with what it did, round by round. */
export interface Measured<Of extends Cell = Cell, Sampled extends Sample = Sample> {
  readonly cell: Of;
  readonly samples: readonly Sampled[];
}

export interface Rounds<Of extends Cell, Sampled extends Sample> {
  readonly cells: readonly Of[];
  readonly rounds: number;
  readonly measure: (cell: Of) => Promise<Sampled>;
}

/** Measures every cell once in every round. @throws Error where most operations of a cell failed: it was not measured */
export async function runRounds<Of extends Cell, Sampled extends Sample>(
  plan: Rounds<Of, Sampled>,
): Promise<Measured<Of, Sampled>[]> {
  const { cells, rounds, measure } = plan;
  const measured = cells.map((cell) => ({ cell, samples: [] as Sampled[] }));
  const groups = [...Map.groupBy(measured, ({ cell }) => cell.group).values()];
  const bar = createProgressBar(rounds * cells.length);
  let done = 0;
  for (let round = 0; round < rounds; round += 1) {
    for (const { cell, samples } of groups.flatMap((group) => rotated(group, round))) {
      bar.show(done, `${cell.path}, ${cell.clients} clients`);
      const sample = await measure(cell);
      if (sample.errors >= sample.operations)
        throw new Error(`${cell.path}: ${sample.firstError ?? 'no operation'}`);
      samples.push(sample);
      done += 1;
    }
  }
  bar.end();
  return measured;
}

function rotated<Item>(items: readonly Item[], by: number): Item[] {
  const at = by % items.length;
  return [...items.slice(at), ...items.slice(0, at)];
}

/** The median over the rounds of what a value of one cell is against another's in the same round. */
export function paired(
  [left, right]: readonly [Measured, Measured],
  of: (left: Sample, right: Sample) => number,
): number {
  return median(
    left.samples.flatMap((sample, round) => {
      const other = right.samples[round];
      return other === undefined ? [] : [of(sample, other)];
    }),
  );
}

export function medianOf({ samples }: Measured, of: (sample: Sample) => number): number {
  return median(samples.map(of));
}
