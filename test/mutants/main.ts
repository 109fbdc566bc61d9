import { fileURLToPath } from 'node:url';
import { createProgressBar, type ProgressBar } from '../support/progress.ts';
import { MUTANTS } from './list/mutants.ts';
import type { Mutant } from './mutant.ts';
import { readOptions, USAGE, type Options } from './options.ts';
import { createScratch, type Scratch } from './scratch.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

interface Verdict {
  readonly id: string;
  readonly isCaught: boolean;
  readonly line: string;
}

async function main(): Promise<void> {
  const options = parse();
  if (options === undefined) return console.log(USAGE);
  const mutants = chosen(options);
  const scratches = await Promise.all(
    Array.from({ length: Math.min(options.workers, mutants.length) }, () => createScratch(ROOT)),
  );
  try {
    await report(mutants, scratches, options);
  } finally {
    await Promise.all(scratches.map((scratch) => scratch.remove()));
  }
}

function parse(): Options | undefined {
  try {
    return readOptions(
      process.argv.slice(2),
      MUTANTS.map(({ id }) => id),
    );
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : String(error)}\n${USAGE}`);
    process.exit(2);
  }
}

function chosen({ only, from }: Options): readonly Mutant[] {
  const first = from === undefined ? 0 : MUTANTS.findIndex(({ id }) => id === from);
  return MUTANTS.slice(first).filter(({ id }) => only.length === 0 || only.includes(id));
}

async function report(
  mutants: readonly Mutant[],
  scratches: readonly Scratch[],
  { isJson }: Options,
): Promise<void> {
  const commands = [...new Set(mutants.flatMap((mutant) => mutant.commands))];
  const bar = createProgressBar(commands.length + mutants.length);
  const failing = await eachOn(scratches, commands, {
    bar,
    before: 0,
    work: async (scratch, command) => {
      const { isPassed, output } = await scratch.run(command);
      return isPassed ? undefined : `${command} fails without any fault:\n${output}`;
    },
  });
  const broken = failing.filter((text) => text !== undefined);
  if (broken.length > 0) {
    bar.end();
    console.error(broken.join('\n\n'));
    process.exitCode = 2;
    return;
  }
  const verdicts = await eachOn(scratches, mutants, {
    bar,
    before: commands.length,
    work: async (scratch, mutant) => {
      const verdict = await judge(scratch, mutant);
      if (!isJson) console.log(verdict.line);
      return verdict;
    },
  });
  bar.end();
  const survived = verdicts.filter(({ isCaught }) => !isCaught).map(({ id }) => id);
  console.log(
    JSON.stringify({ mutants: mutants.length, caught: mutants.length - survived.length, survived }),
  );
  process.exitCode = survived.length > 0 ? 1 : 0;
}

async function judge(scratch: Scratch, mutant: Mutant): Promise<Verdict> {
  let seconds = 0;
  for (const command of mutant.commands) {
    const end = await scratch.runWith(mutant, command);
    seconds += end.seconds;
    if (!end.isPassed) return verdictOf(mutant, true, `caught after ${seconds.toFixed(1)} s by ${command}`);
  }
  return verdictOf(mutant, false, `SURVIVED ${mutant.commands.join(' and ')} (${mutant.fault})`);
}

function verdictOf({ id }: Mutant, isCaught: boolean, text: string): Verdict {
  return { id, isCaught, line: `${id} ${text}` };
}

/** Each scratch copy takes the next one as soon as it is free. Results keep the order of the list. */
async function eachOn<Item, Result>(
  scratches: readonly Scratch[],
  items: readonly Item[],
  {
    bar,
    before,
    work,
  }: {
    readonly bar: ProgressBar;
    readonly before: number;
    readonly work: (scratch: Scratch, item: Item) => Promise<Result>;
  },
): Promise<Result[]> {
  const results: Result[] = [];
  let done = 0;
  const waiting = items.entries();
  await Promise.all(
    scratches.map(async (scratch) => {
      for (const [index, item] of waiting) {
        results[index] = await work(scratch, item);
        bar.show(before + ++done);
      }
    }),
  );
  return results;
}

await main();
