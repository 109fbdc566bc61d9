/** One fault, put into the source on purpose, that a test must notice. */
export interface Mutant {
  /** `M` and a number; a continued run begins at one of them. */
  readonly id: string;
  /** What an agent or an operator would suffer from it. */
  readonly fault: string;
  readonly file: string;
  /** Stands exactly once in the file. */
  readonly search: string;
  readonly replace: string;
  /** Commands that run in the checkout, the quickest first. One of them must fail. */
  readonly commands: readonly string[];
}

/** A fault that no test can notice, because it changes nothing that can be seen. */
export interface EquivalentMutant {
  readonly id: string;
  readonly file: string;
  readonly search: string;
  readonly replace: string;
  readonly reason: string;
}

/** The source with the fault in it. @throws Error unless the text to replace stands in it exactly once */
export function mutated(
  source: string,
  { id, file, search, replace }: Pick<Mutant, 'id' | 'file' | 'search' | 'replace'>,
): string {
  const places = source.split(search).length - 1;
  if (places !== 1) throw new Error(`${id}: the text to replace stands ${places} times in ${file}, not once`);
  // A function, because `$` has a meaning in a replacement text.
  return source.replace(search, () => replace);
}

/** Runs files of tests until the first of them fails. */
export function vitest(...files: readonly string[]): string {
  return `vitest run --bail 1 ${files.join(' ')}`;
}

/** Lives of the simulation. */
export function sim(options: string): string {
  return `node test/sim/main.ts --json ${options}`;
}
