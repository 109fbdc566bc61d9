import { createWriteStream } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { messageOf } from '../domain/errors.ts';
import { parseTolerantly } from '../domain/json.ts';
import { decodeLane, linesIn, type LaneLine } from './lane-lines.ts';
import { readManifest, type LanesFile, type Manifest, type StoreFile } from './manifest.ts';
import { unpack } from './packed-file.ts';
import { problemOfSqlite } from './store-copy.ts';

export interface Verification {
  readonly manifest: Manifest;
  /** Each problem names its file. Without problems the backup is intact and can be restored. */
  readonly problems: readonly string[];
}

/** Reads a whole backup: sizes, digests, every lane, and the store file as its service would open it. @throws Error without a manifest */
export async function verifyBackup(folder: string): Promise<Verification> {
  const manifest = await readManifest(folder);
  const problems: (string | undefined)[] = [];
  for (const lanes of manifest.lanes) problems.push(await problemOfLanes(folder, lanes));
  if (manifest.store !== undefined) problems.push(await problemOfStore(folder, manifest.store));
  return { manifest, problems: problems.filter((problem) => problem !== undefined) };
}

/** Calls back for every lane of a file, one after the other. Returns the problem with the file. */
export async function readLanes(
  folder: string,
  facts: LanesFile,
  onLane: (lane: LaneLine) => void | Promise<void>,
): Promise<string | undefined> {
  let [lanes, items] = [0, 0];
  const problem = await unpack(folder, facts, async (content) => {
    for await (const line of linesIn(content)) {
      const lane = decodeLane(line);
      lanes += 1;
      items += lane.items.length;
      await onLane(lane);
    }
  });
  if (problem !== undefined) return problem;
  if (lanes === facts.lanes && items === facts.items) return undefined;
  return `${facts.name} has ${lanes} lanes with ${items} items, expected ${facts.lanes} with ${facts.items}`;
}

/** Restores the service's file. Returns the problem with it; then the file cannot be used. */
export async function extractStore(
  folder: string,
  facts: StoreFile,
  path: string,
): Promise<string | undefined> {
  const problem = await unpack(folder, facts, (content) =>
    pipeline(content, createWriteStream(path, { mode: 0o600, flags: 'wx', flush: true })),
  );
  return problem ?? (await problemInside(facts, path));
}

async function problemInside({ kind, name }: StoreFile, path: string): Promise<string | undefined> {
  try {
    if (kind === 'json') parseTolerantly(await readFile(path, 'utf8'));
    const problem = kind === 'sqlite' ? problemOfSqlite(path) : undefined;
    return problem === undefined ? undefined : `${name} is damaged: ${problem}`;
  } catch (error) {
    // A parser's message quotes the text.
    return `${name} cannot be opened: ${error instanceof SyntaxError ? 'it is not complete JSON' : messageOf(error)}`;
  }
}

function problemOfLanes(folder: string, lanes: LanesFile): Promise<string | undefined> {
  return readLanes(folder, lanes, () => undefined);
}

async function problemOfStore(folder: string, store: StoreFile): Promise<string | undefined> {
  const scratch = await mkdtemp(join(tmpdir(), 'crossfade-verify-'));
  try {
    return await extractStore(folder, store, join(scratch, store.original_name));
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}
