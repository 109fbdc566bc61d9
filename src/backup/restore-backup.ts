import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Owner } from '../domain/ids.ts';
import { isReadable, type LegacyLane } from '../domain/service-definition.ts';
import { readLegacyLanes } from '../engine/runs/legacy-lanes.ts';
import type { ServiceRuntime } from '../engine/ports/service-runtime.ts';
import { digestOf, type LaneLine } from './lane-lines.ts';
import type { LanesFile, Manifest } from './manifest.ts';
import { asked, doorToService, opened, type OpenStore } from './store-copy.ts';
import { extractStore, readLanes, verifyBackup } from './verify-backup.ts';

export interface Restored {
  readonly service: string;
  readonly lanes: number;
  readonly items: number;
  /** Lanes that differ between the restored instance and the backup. */
  readonly different: readonly Owner[];
}

interface RestoreTarget {
  readonly service: ServiceRuntime;
  readonly open: OpenStore;
}

/**
 * Writes the service's file into an empty folder, on which a scratch instance can be started, and reads every lane back from it.
 * @throws Error if the backup is damaged or has no file, or the folder is not empty
 */
export async function restoreIntoFolder(
  from: string,
  into: string,
  target: RestoreTarget,
): Promise<Restored> {
  const manifest = await soundManifest(from, target.service);
  const { store } = manifest;
  if (store === undefined)
    throw new Error(
      `${from} has no store file of ${manifest.service}: restore into a running instance with --into tcp://host:port`,
    );
  await mkdir(into, { recursive: true, mode: 0o700 });
  if ((await readdir(into)).length > 0)
    throw new Error(
      `folder ${into} is not empty: use an empty or new folder, because existing files are never overwritten`,
    );
  const path = join(into, store.original_name);
  const problem = await extractStore(from, store, path);
  if (problem !== undefined) {
    await rm(path, { force: true });
    throw new Error(problem);
  }
  const access = opened(target.open, { kind: store.kind, path });
  try {
    return await compared(from, manifest, { ...target.service, access });
  } finally {
    await access.stop();
  }
}

/**
 * Writes every item again through the service's own protocol, and reads every lane back. Times become those of the restore.
 * @throws Error if the backup is damaged, the service cannot do it, or the instance is not empty
 */
export async function restoreIntoInstance(
  from: string,
  { service }: Pick<RestoreTarget, 'service'>,
): Promise<Restored> {
  const manifest = await soundManifest(from, service);
  const { access, definition } = service;
  const api = doorToService(access);
  if (definition.lanes.restoreRequest === undefined || !isReadable({ definition, access: api }))
    throw new Error(
      `${manifest.service} cannot be read through its protocol: restore its file with --into FOLDER`,
    );
  const through: ServiceRuntime = { ...service, access: api };
  // Checks all lanes before the first write, so that a lane with items is not found after others were filled.
  await eachLane(from, manifest, ({ owner }) => refuseFilled(through, owner));
  await eachLane(from, manifest, async ({ owner, items }) => {
    for (const { fields } of items)
      await asked(access, String(definition.lanes.restoreRequest?.(fields, owner)));
  });
  return compared(from, manifest, through);
}

/**
 * Reads every lane of a backup through an instance that was started on its restored file.
 * @throws Error if the backup is damaged, or the service cannot be asked without changing it
 */
export async function readBack(from: string, { service }: Pick<RestoreTarget, 'service'>): Promise<Restored> {
  const manifest = await soundManifest(from, service);
  return compared(from, manifest, { ...service, access: doorToService(service.access) });
}

/** Whether every lane can be read through the service's protocol, and reading changes nothing. */
export function canBeAsked({ definition, access }: ServiceRuntime): boolean {
  return access.call !== undefined && isReadable({ definition, access: doorToService(access) });
}

async function eachLane(
  from: string,
  manifest: Manifest,
  onLane: (lane: LaneLine) => Promise<void>,
): Promise<void> {
  let failure: { readonly error: unknown } | undefined;
  const problem = await readLanes(from, lanesOf(manifest), async (lane) => {
    try {
      await onLane(lane);
    } catch (error) {
      failure ??= { error };
      throw error;
    }
  });
  // A refusal by the instance is not a problem of the backup's file.
  if (failure !== undefined) throw failure.error;
  if (problem !== undefined) throw new Error(problem);
}

/** @throws Error if the lane has items */
async function refuseFilled(service: ServiceRuntime, owner: Owner): Promise<void> {
  const reading = (await readLegacyLanes(service, [owner])).get(owner);
  if (reading === undefined || 'problem' in reading)
    throw new Error(
      `the instance cannot show the lane of ${owner}${reading === undefined ? '' : `: ${reading.problem}`}`,
    );
  if (reading.lane.items.length > 0)
    throw new Error(`the instance already holds items of ${owner}: restore into an empty instance`);
}

/** @throws Error listing all problems */
async function soundManifest(folder: string, { name }: ServiceRuntime): Promise<Manifest> {
  const { manifest, problems } = await verifyBackup(folder);
  if (problems.length > 0) throw new Error(`${folder} is damaged: ${problems.join('; ')}`);
  if (manifest.service !== name)
    throw new Error(`${folder} is a backup of ${manifest.service}, not of ${name}`);
  return manifest;
}

/** The lanes read from the store's file if the backup has them, otherwise those read from the service. */
function lanesOf({ lanes }: Manifest): LanesFile {
  const chosen = lanes.find(({ source }) => source === 'file') ?? lanes[0];
  if (chosen === undefined) throw new Error('the backup has no lanes');
  return chosen;
}

async function compared(from: string, manifest: Manifest, service: ServiceRuntime): Promise<Restored> {
  const different: Owner[] = [];
  let [lanes, items] = [0, 0];
  await eachLane(from, manifest, async (lane) => {
    lanes += 1;
    items += lane.items.length;
    const reading = (await readLegacyLanes(service, [lane.owner])).get(lane.owner);
    const isSame = reading !== undefined && 'lane' in reading && isEqual(reading.lane, lane);
    if (!isSame) different.push(lane.owner);
  });
  return { service: manifest.service, lanes, items, different };
}

function isEqual({ items }: LegacyLane, lane: LaneLine): boolean {
  return digestOf({ owner: lane.owner, items }) === digestOf(lane);
}
