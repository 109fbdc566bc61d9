import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf } from '../domain/errors.ts';
import type { Definitions } from './definitions.ts';
import { parseFlagFile } from './flag-file-text.ts';

/** Younger files may still be incomplete, or change again within the resolution of their time stamp (4 ms). */
const YOUNG_MS = 100;

/** Some editors move a file away before they write it again, so a file counts as removed only after this time. */
const GONE_MS = 250;

/** Thousands of flags take a megabyte. A longer file is not a flag file, and may not fit into memory. */
const MOST_BYTES = 16 * 1024 * 1024;

interface FlagFile {
  /** The size and time stamp of the file; absent while the file is too young to skip reading it. */
  readonly mark: string | undefined;
  readonly text: string;
  /** The last readable definitions. */
  readonly definitions: Definitions | undefined;
  readonly problem: string | undefined;
  /** Instant of `performance.now`. */
  readonly missingSinceMs?: number | undefined;
}

const NONE: Definitions = { features: [], segments: [] };

interface FolderScan {
  readonly definitions: Definitions;
  readonly isChanged: boolean;
  readonly problems: readonly string[];
}

export interface FlagFolder {
  /** @throws Error when the folder cannot be listed */
  scan(): Promise<FolderScan>;
}

/** Reads the flag files of a folder when they change. An unusable file keeps its last values. */
export function createFlagFolder(folder: string): FlagFolder {
  let files: ReadonlyMap<string, FlagFile> = new Map();
  return {
    async scan() {
      const names = (await readdir(folder)).filter((name) => name.endsWith('.json')).toSorted();
      // A folder without files is a mistake, not a request, so the values stay.
      if (names.length === 0)
        return { definitions: NONE, isChanged: false, problems: [`no *.json in ${folder}`] };
      const next = new Map<string, FlagFile>();
      for (const name of new Set([...names, ...files.keys()])) {
        const known = files.get(name);
        const file = (await look(join(folder, name), known)) ?? missed(known);
        if (file !== undefined) next.set(name, file);
      }
      const isChanged = !haveSameDefinitions(files, next);
      files = next;
      const merged = merge(next);
      const broken = [...next].flatMap(([name, { problem }]) =>
        problem === undefined ? [] : [`${name}: ${problem}`],
      );
      return { definitions: merged.definitions, isChanged, problems: [...broken, ...merged.problems] };
    },
  };
}

/** A file that is missing but may come back. */
function missed(known: FlagFile | undefined): FlagFile | undefined {
  if (known === undefined) return undefined;
  const now = performance.now();
  const missingSinceMs = known.missingSinceMs ?? now;
  return now - missingSinceMs < GONE_MS ? { ...known, mark: undefined, missingSinceMs } : undefined;
}

async function look(path: string, known: FlagFile | undefined): Promise<FlagFile | undefined> {
  try {
    const found = await stat(path);
    // Reading a pipe would wait for its writer, and no flag could change any more.
    if (!found.isFile()) throw new Error('it is not a regular file');
    const { mtimeMs, ctimeMs, size, ino } = found;
    if (size > MOST_BYTES) throw new Error(`the file has ${size} bytes, the limit is ${MOST_BYTES}`);
    const mark = `${mtimeMs} ${ctimeMs} ${size} ${ino}`;
    if (known?.mark === mark) return known;
    const isYoung = Math.abs(Date.now() - mtimeMs) < YOUNG_MS;
    return read(await readFile(path, 'utf8'), isYoung ? undefined : mark, known);
  } catch (cause) {
    // The file was renamed or removed after it was listed; the next scan sees that.
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    const problem = messageOf(cause);
    return { mark: undefined, text: '', definitions: known?.definitions, problem };
  }
}

function read(text: string, mark: string | undefined, known: FlagFile | undefined): FlagFile {
  if (known !== undefined && known.text === text && known.problem === undefined)
    return { ...known, mark, missingSinceMs: undefined };
  try {
    const { definitions, problems } = parseFlagFile(text, known?.definitions);
    return { mark, text, definitions, problem: problems.length === 0 ? undefined : problems.join('; ') };
  } catch (cause) {
    // Perhaps a file that an editor is still writing, so it is read again before the problem is reported.
    if (mark === undefined && known !== undefined) return { ...known, mark, missingSinceMs: undefined };
    return { mark, text, definitions: known?.definitions, problem: messageOf(cause) };
  }
}

function haveSameDefinitions(
  before: ReadonlyMap<string, FlagFile>,
  after: ReadonlyMap<string, FlagFile>,
): boolean {
  if (before.size !== after.size) return false;
  return [...after].every(([name, file]) => before.get(name)?.definitions === file.definitions);
}

function merge(files: ReadonlyMap<string, FlagFile>): { definitions: Definitions; problems: string[] } {
  const problems: string[] = [];
  const features = new Map<string, Definitions['features'][number]>();
  const segments = new Map<number, Definitions['segments'][number]>();
  for (const [file, { definitions }] of files) {
    for (const feature of definitions?.features ?? []) {
      if (features.has(feature.name))
        problems.push(`${file}: ${feature.name} is defined twice; the first definition is used`);
      else features.set(feature.name, feature);
    }
    for (const segment of definitions?.segments ?? []) {
      if (segments.has(segment.id))
        problems.push(`${file}: segment ${segment.id} is defined twice; the first definition is used`);
      else segments.set(segment.id, segment);
    }
  }
  return { definitions: { features: [...features.values()], segments: [...segments.values()] }, problems };
}
