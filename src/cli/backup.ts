import { readFile } from 'node:fs/promises';
import { Command } from 'commander';
import { makeBackup } from '../backup/make-backup.ts';
import type { Manifest } from '../backup/manifest.ts';
import { restoreIntoFolder, restoreIntoInstance, type Restored } from '../backup/restore-backup.ts';
import { isSameInstance } from '../backup/same-instance.ts';
import type { OpenStore } from '../backup/store-copy.ts';
import { verifyBackup, type Verification } from '../backup/verify-backup.ts';
import { systemClock as clock } from '../clock.ts';
import { loadConfig } from '../config.ts';
import { loadDefinitions, type DefinedService } from '../definitions.ts';
import { parseOwner, serviceName, type Owner } from '../domain/ids.ts';
import { createLegacyAccess } from '../backends/legacy-store.ts';
import { createLegacyParts } from '../legacy-parts.ts';
import type { ServiceRuntime } from '../migration/service-runtime.ts';
import { version } from '../version.ts';
import type { Environment } from './operator-client.ts';

interface MakeOptions {
  readonly service?: string;
  readonly out?: string;
  readonly owners?: string;
  readonly config: string;
  readonly json?: true;
}

interface RestoreOptions {
  readonly into: string;
  readonly config: string;
  readonly json?: true;
}

/** What was backed up or restored is whole, but not the same through every door. */
const DIFFERENT = 2;
const DEFAULT_CONFIG = './config/crossfade.yaml';
const SHOWN = 10;

const open: OpenStore = (paths) => createLegacyAccess({ ...paths, clock });

const HELP = `
A backup is a folder: the service's own file as it was at one moment, its lanes as JSON lines (as the file holds them, and as the
service tells them where asking does nothing to it), all packed with zstd, and manifest.json with counts and SHA-256, written last.
It holds memory in clear: only its owner may read it.
The service is asked and its file read directly, not through a running proxy. For the last backup of all, stop its writers first.
Exit codes: 0 done; 1 not done, or damaged; 2 done, but lanes differ: the service was written to meanwhile, or a restored instance
does not show what the backup holds.`;

/** `crossfade backup`: copies of what a legacy service holds, to be kept when it is gone. */
export function createBackupCommand(env: Environment): Command {
  const backup = new Command('backup')
    .description('Back up what a legacy service holds; verify and restore backups')
    // Options behind the name of a subcommand are that one's.
    .enablePositionalOptions()
    .option('--service <name>', 'the service to back up')
    .option('--out <folder>', 'where to: a folder that is empty, or not there yet')
    .option('--owners <file>', 'owners, one in each line, for a service that cannot list them')
    .option('--config <file>', 'settings of the proxy: where the service and its file are', DEFAULT_CONFIG)
    .option('--json', 'the manifest as one JSON object')
    .addHelpText('afterAll', HELP)
    .action((options: MakeOptions) => make(options, env));
  backup
    .command('verify')
    .argument('<folder>')
    .description('Read a backup to its last byte and compare it with its manifest')
    .option('--json', 'as JSON')
    .action(verify);
  backup
    .command('restore')
    .argument('<folder>')
    .description('Restore a backup into a scratch instance, and read every lane back from it')
    .requiredOption(
      '--into <target>',
      "an empty folder for the service's file; or tcp://host:port of an empty instance, which gets every item anew",
    )
    .option('--config <file>', 'settings of the proxy: which definition knows the service', DEFAULT_CONFIG)
    .option('--json', 'as JSON')
    .action((folder: string, options: RestoreOptions) => restore(folder, options, env));
  return backup;
}

async function make(
  { service: name, out, owners, config, json }: MakeOptions,
  env: Environment,
): Promise<void> {
  if (name === undefined || out === undefined)
    throw new Error('say which service and where to: crossfade backup --service NAME --out FOLDER');
  const service = await definedService(config, name, env);
  const manifest = await withRuntime(service, async (runtime) =>
    makeBackup(
      {
        service: runtime,
        store: service.config.legacy,
        open,
        owners: owners === undefined ? undefined : await ownersIn(owners),
      },
      {
        folder: out,
        version,
        clock,
        ...(process.stderr.isTTY && json !== true && { onProgress: showProgress }),
      },
    ),
  );
  console.log(json === true ? JSON.stringify(manifest) : told(manifest, out));
  if (manifest.lanes_different > 0) process.exitCode = DIFFERENT;
}

async function verify(folder: string, { json }: { readonly json?: true }): Promise<void> {
  const verification = await verifyBackup(folder);
  const { problems } = verification;
  console.log(
    json === true
      ? JSON.stringify({ whole: problems.length === 0, problems })
      : verdictOn(verification, folder),
  );
  if (problems.length > 0) process.exitCode = 1;
}

async function restore(
  folder: string,
  { into, config, json }: RestoreOptions,
  env: Environment,
): Promise<void> {
  const { manifest } = await verifyBackup(folder);
  const service = await definedService(config, manifest.service, env);
  const isInstance = /^(tcp|https?):\/\//.test(into);
  const { legacy } = service.config;
  const scratch = isInstance
    ? { ...service, config: { ...service.config, legacy: { ...legacy, endpoint: into } } }
    : service;
  if (isInstance && (await isSameInstance(into, legacy.endpoint)))
    throw new Error(
      `${into} is the service itself, which is configured as ${legacy.endpoint}: restore into a scratch instance, on another port`,
    );
  const restored = await withRuntime(scratch, (runtime) =>
    isInstance
      ? restoreIntoInstance(folder, { service: runtime })
      : restoreIntoFolder(folder, into, { service: runtime, open }),
  );
  console.log(json === true ? JSON.stringify({ ...restored, into }) : outcomeOf(restored, into));
  if (restored.different.length > 0) process.exitCode = DIFFERENT;
}

async function definedService(file: string, name: string, env: Environment): Promise<DefinedService> {
  const services = await loadDefinitions(loadConfig(file, env));
  const found = services.find((service) => service.name === name);
  if (found !== undefined) return found;
  throw new Error(`${file} has no service "${name}"; it has ${services.map((one) => one.name).join(', ')}`);
}

async function withRuntime<Result>(
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

/** @throws Error naming the line that is no owner */
async function ownersIn(file: string): Promise<Owner[]> {
  const lines = (await readFile(file, 'utf8')).split('\n');
  return lines.flatMap((line, index) => {
    if (line === '') return [];
    const owner = parseOwner(line);
    if (owner === undefined) throw new Error(`${file}:${index + 1} is no owner`);
    return [owner];
  });
}

function showProgress(done: number, lanes: number, source: string): void {
  const end = done === lanes ? '\n' : '';
  process.stderr.write(
    `\r${done} of ${lanes} lanes read from the ${source === 'api' ? 'service' : 'file'}${end}`,
  );
}

function told({ service, lanes, store, lanes_different: different }: Manifest, folder: string): string {
  return [
    `${service} is backed up in ${folder}`,
    ...lanes.map(
      ({ name, lanes: count, items, bytes }) => `  ${name}  ${count} lanes, ${items} items, ${bytes} bytes`,
    ),
    ...(store === undefined ? [] : [`  ${store.name}  ${store.original_name}, ${store.bytes} bytes`]),
    ...(different === 0
      ? []
      : [`${different} lanes differ between the file and the service: stop its writers and back up again`]),
    `check it with: crossfade backup verify ${folder}`,
  ].join('\n');
}

function verdictOn({ manifest, problems }: Verification, folder: string): string {
  if (problems.length > 0)
    return [`${folder} is damaged:`, ...problems.map((problem) => `  ${problem}`)].join('\n');
  const { service, made_at: madeAt, lanes } = manifest;
  const counts = lanes.map(({ source, lanes: count, items }) => `${count} lanes, ${items} items (${source})`);
  return `${folder} is whole: ${service} as of ${madeAt}, ${counts.join('; ')}`;
}

function outcomeOf({ service, lanes, items, different }: Restored, into: string): string {
  const what = `${service}: ${lanes} lanes with ${items} items restored into ${into}`;
  if (different.length === 0) return `${what}, and read back the same`;
  const some = different.slice(0, SHOWN).join(', ');
  const rest = different.length > SHOWN ? ', …' : '';
  return `${what}; ${different.length} lanes do not read back the same: ${some}${rest}`;
}
