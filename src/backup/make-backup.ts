import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Owner } from '../domain/ids.ts';
import { isReadable, type LegacyAccess } from '../domain/service-definition.ts';
import { listOwners, readLegacyLanes } from '../engine/runs/legacy-lanes.ts';
import type { Clock } from '../shared/clock.ts';
import type { ServiceRuntime } from '../engine/ports/service-runtime.ts';
import { decodeLane, digestOf, encodeLane } from './lane-lines.ts';
import { type LanesFile, type Manifest, type StoreFile, writeManifest } from './manifest.ts';
import { pack } from './packed-file.ts';
import {
  copyStore,
  doorToService,
  opened,
  type OpenStore,
  type StoreCopy,
  type StorePaths,
  streamOf,
} from './store-copy.ts';

interface BackupSource {
  readonly service: ServiceRuntime;
  readonly store: StorePaths;
  readonly open: OpenStore;
  /** Needed for a service whose store cannot be listed. */
  readonly owners?: readonly Owner[] | undefined;
}

interface BackupOptions {
  readonly folder: string;
  readonly version: string;
  readonly clock: Clock;
  onProgress?(done: number, lanes: number, source: LanesFile['source']): void;
}

/** Number of lanes read at the same time. */
const LANES_AT_ONCE = 200;

/**
 * Writes the whole store of a service: a snapshot of its file, and the lanes in it. If reading does not change the service, it also
 * writes the lanes as the service returns them.
 * @throws Error if something cannot be read or written. Then there is no manifest, and so no valid backup
 */
export async function makeBackup(source: BackupSource, options: BackupOptions): Promise<Manifest> {
  const { folder, clock, version } = options;
  await mkdir(folder, { recursive: true, mode: 0o700 });
  if ((await readdir(folder)).length > 0)
    throw new Error(
      `folder ${folder} is not empty: use an empty or new folder, because existing files are never overwritten`,
    );
  const { service, store: paths } = source;
  const copy = await copyStore(paths, service.access, folder);
  try {
    const written = await writeLanes(source, copy, options);
    const store = copy === undefined ? undefined : await packStore(copy, folder);
    const manifest: Manifest = {
      format: 1,
      service: service.name,
      made_at: new Date(clock.wallMs()).toISOString(),
      made_by: `crossfade ${version}`,
      time_zone: service.context.timeZone,
      lanes: written.files,
      ...(store !== undefined && { store }),
      lanes_different: written.different,
    };
    await writeManifest(folder, manifest);
    return manifest;
  } catch (error) {
    await clear(folder);
    throw error;
  } finally {
    await copy?.remove();
  }
}

async function clear(folder: string): Promise<void> {
  for (const name of await readdir(folder)) await rm(join(folder, name), { recursive: true, force: true });
}

async function packStore({ kind, originalName, path }: StoreCopy, folder: string): Promise<StoreFile> {
  const facts = await pack(streamOf(path), join(folder, `store.${kind}.zst`));
  return { ...facts, kind, original_name: originalName };
}

interface Door {
  readonly source: LanesFile['source'];
  readonly access: LegacyAccess;
  readonly close: () => Promise<void>;
}

/** The ways to read the lanes without changing them. @throws Error if there is none */
function doorsOf({ service, open }: BackupSource, copy: StoreCopy | undefined): Door[] {
  const { definition, access } = service;
  const doors: Door[] = [];
  if (copy !== undefined) {
    const inCopy = opened(open, copy);
    doors.push({ source: 'file', access: inCopy, close: () => inCopy.stop() });
  }
  const api = doorToService(access);
  if (access.call !== undefined && isReadable({ definition, access: api }))
    doors.push({ source: 'api', access: api, close: async () => undefined });
  if (doors.length > 0) return doors;
  throw new Error(
    `${service.name} can only be read from its file: set services.${service.name}.legacy.sqliteFile or .jsonFile`,
  );
}

/** The digest of a lane for each way of reading it. */
type Seen = Map<Owner, string[]>;

interface Written {
  readonly files: LanesFile[];
  readonly different: number;
}

async function writeLanes(
  source: BackupSource,
  copy: StoreCopy | undefined,
  options: BackupOptions,
): Promise<Written> {
  const files: LanesFile[] = [];
  const seen: Seen = new Map();
  const doors = doorsOf(source, copy);
  const owners = await ownersOf(source, doors);
  for (const door of doors) {
    try {
      files.push(await writeThrough(door, { source, owners, seen, options }));
    } finally {
      await door.close();
    }
  }
  const isSame = (digests: readonly string[]): boolean =>
    digests.length === doors.length && new Set(digests).size === 1;
  return { files, different: [...seen.values()].filter((digests) => !isSame(digests)).length };
}

/** @throws Error if neither the store nor the caller lists them */
async function ownersOf(
  { service, owners }: BackupSource,
  doors: readonly Door[],
): Promise<readonly Owner[]> {
  if (owners !== undefined) return owners;
  for (const { access } of doors) {
    const listed = await listOwners({ ...service, access });
    if (listed === undefined) continue;
    const names: Owner[] = [];
    for await (const some of listed) names.push(...some);
    return names;
  }
  throw new Error(`${service.name} cannot list its owners: list them with --owners FILE, one per line`);
}

interface Lanes {
  readonly source: BackupSource;
  readonly owners: readonly Owner[];
  readonly seen: Seen;
  readonly options: BackupOptions;
}

async function writeThrough({ source, access }: Door, lanes: Lanes): Promise<LanesFile> {
  const { source: from, owners, seen, options } = lanes;
  const count = { lanes: 0, items: 0 };
  const runtime: ServiceRuntime = { ...from.service, access };
  async function* lines(): AsyncGenerator<string> {
    for (let at = 0; at < owners.length; at += LANES_AT_ONCE) {
      const some = owners.slice(at, at + LANES_AT_ONCE);
      for (const [owner, reading] of await readLegacyLanes(runtime, some)) {
        if ('problem' in reading) throw new Error(`the lane of ${owner} cannot be read: ${reading.problem}`);
        if (!reading.lane.exists) continue;
        const line = encodeLane(owner, reading.lane);
        count.lanes += 1;
        count.items += reading.lane.items.length;
        seen.set(owner, [...(seen.get(owner) ?? []), digestOf(decodeLane(line))]);
        yield line;
      }
      options.onProgress?.(Math.min(at + LANES_AT_ONCE, owners.length), owners.length, source);
    }
  }
  const facts = await pack(lines(), join(options.folder, `lanes-${source}.jsonl.zst`));
  return { ...facts, source, ...count };
}
