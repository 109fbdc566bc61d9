import { makeBackup } from '../backup/make-backup.ts';
import type { Manifest } from '../backup/manifest.ts';
import { restoreIntoFolder, restoreIntoInstance, type Restored } from '../backup/restore-backup.ts';
import { isSameInstance } from '../backup/same-instance.ts';
import type { OpenStore } from '../backup/store-copy.ts';
import { verifyBackup, type Verification } from '../backup/verify-backup.ts';
import { systemClock as clock } from '../shared/clock.ts';
import { loadConfig } from '../config/config.ts';
import { loadDefinitions, type DefinedService } from '../compose/definitions.ts';
import { parseOwner, serviceName, type Owner } from '../domain/ids.ts';
import { createLegacyAccess } from '../backends/legacy-store.ts';
import { createLegacyParts } from '../compose/legacy-parts.ts';
import type { ServiceRuntime } from '../engine/ports/service-runtime.ts';
import { version } from './version.ts';
import { inAskedFolder, readAskedFile } from './asked-file.ts';
import type { Environment } from './operator-client.ts';
import { counted } from '../operator/views/figures.ts';

export interface MakeOptions {
  readonly service?: string;
  readonly out?: string;
  readonly owners?: string;
  readonly config: string;
  readonly json?: true;
}

export interface RestoreOptions {
  readonly into: string;
  readonly config: string;
  readonly json?: true;
}

/** Exit code when the backup or restore is complete, but the file and the service show different lanes. */
const DIFFERENT = 2;
const SHOWN = 10;
const OWNERS_HINT = 'it must hold one owner per line';

export const open: OpenStore = (paths) => createLegacyAccess({ ...paths, clock });

/** Makes a backup, and prints its contents. */
export async function make(
  { service: name, out, owners, config, json }: MakeOptions,
  env: Environment,
): Promise<void> {
  if (name === undefined || out === undefined)
    throw new Error('--service and --out are required: crossfade backup --service NAME --out FOLDER');
  const service = await definedService(config, name, env);
  const backUp = (runtime: ServiceRuntime) =>
    makeBackup(
      {
        service: runtime,
        store: service.config.legacy,
        open,
        owners: owners === undefined ? undefined : ownersIn(owners),
      },
      {
        folder: out,
        version,
        clock,
        ...(process.stderr.isTTY && json !== true && { onProgress: showProgress }),
      },
    );
  const manifest = await inAskedFolder({ option: '--out', path: out }, () => withRuntime(service, backUp));
  console.log(json === true ? JSON.stringify(manifest) : told(manifest, out));
  if (manifest.lanes_different > 0) process.exitCode = DIFFERENT;
}

/** Checks whether a backup is complete and undamaged. */
export async function verify(folder: string, { json }: { readonly json?: true }): Promise<void> {
  const verification = await verified(folder);
  const { problems } = verification;
  console.log(
    json === true
      ? JSON.stringify({ whole: problems.length === 0, problems })
      : verdictOn(verification, folder),
  );
  if (problems.length > 0) process.exitCode = 1;
}

function verified(folder: string): Promise<Verification> {
  return inAskedFolder({ option: '<folder>', path: folder }, () => verifyBackup(folder));
}

/** Restores a backup into a scratch instance. */
export async function restore(
  folder: string,
  { into, config, json }: RestoreOptions,
  env: Environment,
): Promise<void> {
  const isInstance = isAddress(into);
  const { manifest } = await verified(folder);
  const service = await definedService(config, manifest.service, env);
  const { legacy } = service.config;
  const scratch = isInstance
    ? { ...service, config: { ...service.config, legacy: { ...legacy, endpoint: into } } }
    : service;
  if (isInstance && (await isSameInstance(into, legacy.endpoint)))
    throw new Error(
      `${into} is the running service (configured as ${legacy.endpoint}): restore into a scratch instance on another port`,
    );
  const restored = await inAskedFolder({ option: '--into', path: into }, () =>
    withRuntime(scratch, (runtime) =>
      isInstance
        ? restoreIntoInstance(folder, { service: runtime })
        : restoreIntoFolder(folder, into, { service: runtime, open }),
    ),
  );
  console.log(json === true ? JSON.stringify({ ...restored, into }) : outcomeOf(restored, into));
  if (restored.different.length > 0) process.exitCode = DIFFERENT;
}

/** Whether a target is a running instance, and not a folder. @throws Error if it is neither, or ambiguous */
function isAddress(into: string): boolean {
  if (/^[^/\\]+:\d+$/.test(into))
    throw new Error(`"${into}" could be an instance or a folder: use tcp://${into} or ./${into}`);
  if (!/^\w+:\/\//.test(into)) return false;
  const url = URL.parse(into);
  const isWhole = url !== null && url.hostname !== '' && (url.protocol !== 'tcp:' || url.port !== '');
  if (!isWhole || !/^(tcp|https?):$/.test(url.protocol))
    throw new Error(`invalid address "${into}": use tcp://host:port`);
  return true;
}

export async function definedService(file: string, name: string, env: Environment): Promise<DefinedService> {
  const services = await loadDefinitions(loadConfig(file, env));
  const found = services.find((service) => service.name === name);
  if (found !== undefined) return found;
  throw new Error(`${file} has no service "${name}"; it has ${services.map((one) => one.name).join(', ')}`);
}

export async function withRuntime<Result>(
  service: DefinedService,
  work: (runtime: ServiceRuntime) => Promise<Result>,
): Promise<Result> {
  const { legacy, access, ...parts } = createLegacyParts(service, clock);
  const { name, definition, config } = service;
  const context = { timeZone: config.timeZone };
  await legacy.start();
  try {
    return await work({ name: serviceName(name), definition, context, legacy, access, deadlineMs: 0 });
  } finally {
    await parts.stop();
  }
}

/** @throws Error with the number of the invalid line */
function ownersIn(file: string): Owner[] {
  const lines = readAskedFile({ option: '--owners', path: file }, OWNERS_HINT).split('\n');
  return lines.flatMap((line, index) => {
    if (line === '') return [];
    const owner = parseOwner(line);
    if (owner === undefined) throw new Error(`${file}:${index + 1}: invalid owner name`);
    return [owner];
  });
}

function showProgress(done: number, lanes: number, source: string): void {
  const end = done === lanes ? '\n' : '';
  process.stderr.write(
    `\r${done} of ${counted(lanes, 'lane')} read from the ${source === 'api' ? 'service' : 'file'}${end}`,
  );
}

function told({ service, lanes, store, lanes_different: different }: Manifest, folder: string): string {
  return [
    `${service} is backed up in ${folder}`,
    ...lanes.map(
      ({ name, lanes: count, items, bytes }) =>
        `  ${name}  ${counted(count, 'lane')}, ${counted(items, 'item')}, ${counted(bytes, 'byte')}`,
    ),
    ...(store === undefined ? [] : [`  ${store.name}  ${store.original_name}, ${store.bytes} bytes`]),
    ...(different === 0
      ? []
      : [
          `${counted(different, 'lane differs', 'lanes differ')} between the file and the service: stop its writers and back up again`,
        ]),
    `Verify it with: crossfade backup verify ${folder}`,
  ].join('\n');
}

function verdictOn({ manifest, problems }: Verification, folder: string): string {
  if (problems.length > 0)
    return [`${folder} is damaged:`, ...problems.map((problem) => `  ${problem}`)].join('\n');
  const { service, made_at: madeAt, lanes } = manifest;
  const counts = lanes.map(
    ({ source, lanes: count, items }) => `${counted(count, 'lane')}, ${counted(items, 'item')} (${source})`,
  );
  return `${folder} is complete: ${service} as of ${madeAt}, ${counts.join('; ')}`;
}

function outcomeOf({ service, lanes, items, different }: Restored, into: string): string {
  const what = `${service}: ${counted(lanes, 'lane')} with ${counted(items, 'item')} restored into ${into}`;
  if (different.length === 0) return `${what}, and read back the same`;
  const some = different.slice(0, SHOWN).join(', ');
  const rest = different.length > SHOWN ? ', …' : '';
  return `${what}; ${counted(different.length, 'lane does', 'lanes do')} not read back the same: ${some}${rest}`;
}
