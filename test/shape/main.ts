import { parseArgs } from 'node:util';
import { createProgressBar } from '../support/progress.ts';
import { filesCrossed, type Crossed } from './crossed.ts';
import { readSources } from './source.ts';
import { structureOf, type Structure } from './structure.ts';

const USAGE = `npm run shape -- [options]
Prints what the code looks like as a whole, counted from the code itself: files and lines, who imports whom, and the files of src that
one write and one read cross in a running proxy and orchestrator. Files that also run while no request arrives do not count.

  --list   name the folders, imports and files that are counted
  --json   print the result as one JSON line at the end
  --help   print this help`;

const ENGINE = 'engine/';

function parse() {
  try {
    const boolean = { type: 'boolean' } as const;
    const options = { list: boolean, json: boolean, help: { ...boolean, short: 'h' } } as const;
    return parseArgs({ options }).values;
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : String(error)}\n${USAGE}`);
    process.exit(2);
  }
}

function figures({ mutualFolders, upwardImports, ...counts }: Structure) {
  return {
    files: counts.files,
    code_lines: counts.codeLines,
    comment_share: Math.round(counts.commentShare * 1_000) / 1_000,
    single_importer_files: counts.singleImporterFiles,
    files_under_40_lines: counts.filesUnder40Lines,
    mutual_folders: mutualFolders.length,
    upward_imports: upwardImports.length,
    largest_bag: counts.largestBag,
    longest_function: counts.longestFunction,
  };
}

function printLists({ mutualFolders, upwardImports }: Structure, crossed: Crossed): void {
  const lists = {
    'folders that import each other': mutualFolders,
    'imports upwards': upwardImports,
    ...crossed,
  };
  for (const [name, lines] of Object.entries(lists)) console.log(`\n${name}\n  ${lines.join('\n  ')}`);
}

async function main(): Promise<void> {
  const options = parse();
  if (options.help === true) return console.log(USAGE);
  const sources = readSources();
  const [whole, engine] = [
    structureOf(sources),
    structureOf(sources.filter(({ path }) => path.startsWith(ENGINE))),
  ];
  const bar = createProgressBar(1);
  const crossed = await filesCrossed((done, total) => bar.show(done / total, 'writes and reads'));
  bar.end();
  if (options.list === true) printLists(engine, crossed);
  const result = {
    ...figures(whole),
    write_to_reply: crossed.writeToReply.length,
    write_to_store: crossed.writeToStore.length,
    read_to_reply: crossed.readToReply.length,
    engine: figures(engine),
  };
  if (options.json === true) return console.log(JSON.stringify(result));
  for (const [name, value] of Object.entries({ ...result, engine: undefined, ...prefixed(result.engine) }))
    if (value !== undefined) console.log(`${shown(value).padStart(8)}  ${name.replaceAll('_', ' ')}`);
}

const prefixed = (engine: object) =>
  Object.fromEntries(Object.entries(engine).map(([name, value]) => [`engine: ${name}`, value as unknown]));

function shown(value: unknown): string {
  if (typeof value !== 'object' || value === null) return String(value);
  const { name, ...number } = value as { readonly name: string };
  return `${Object.values(number).join()} (${name})`;
}

await main();
