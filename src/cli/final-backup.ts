import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { makeBackup } from '../backup/make-backup.ts';
import { canBeAsked, readBack, type Restored, restoreIntoFolder } from '../backup/restore-backup.ts';
import { withScratchInstance } from '../backup/scratch-instance.ts';
import type { DefinedService } from '../compose/definitions.ts';
import type { ServiceRuntime } from '../engine/ports/service-runtime.ts';
import type { ScratchInstance } from '../engine/ports/service-writes-ports.ts';
import { systemClock as clock } from '../shared/clock.ts';
import { inAskedFolder } from './asked-file.ts';
import { definedService, open, withRuntime } from './keep-backup.ts';
import type { Environment } from './operator-client.ts';
import { version } from './version.ts';

interface Asked {
  readonly service: string;
  readonly folder: string;
  readonly config: string;
}

/** A backup as the proxy records it. */
interface RecordedBackup {
  readonly folder: string;
  readonly made_at: string;
  readonly manifest_sha256: string;
  readonly lanes: number;
  readonly items: number;
  readonly scratch_instance: ScratchInstance;
}

/**
 * Backs up a legacy service that takes no writes, restores the backup into an empty folder, and reads every lane back there. Where the
 * service can be asked without changing it, every lane is also read from a scratch instance on the restored file.
 * @throws Error if a lane differs, because then the service was written to, or the backup cannot be restored
 */
export async function makeVerifiedBackup(
  { service: name, folder, config }: Asked,
  env: Environment,
): Promise<RecordedBackup> {
  const service = await definedService(config, name, env);
  return inAskedFolder({ option: '--backup', path: folder }, () =>
    withRuntime(service, async (runtime) => {
      const source = { service: runtime, store: service.config.legacy, open, owners: undefined };
      const manifest = await makeBackup(source, { folder, version, clock });
      if (manifest.lanes_different > 0)
        throw new Error(
          `${manifest.lanes_different} lanes of ${name} changed during the backup: a writer that Crossfade does not know is active`,
        );
      const scratch = await mkdtemp(join(tmpdir(), 'crossfade-restored-'));
      try {
        const restored = await restoreIntoFolder(folder, scratch, { service: runtime, open });
        refuseDifferent(restored, 'the restored backup');
        const { lanes, items } = restored;
        const file = manifest.store?.original_name ?? '';
        const instance = await askScratch({ folder, scratch, file }, service, runtime);
        const text = await readFile(join(folder, 'manifest.json'));
        const digest = createHash('sha256').update(text).digest('hex');
        return {
          folder,
          made_at: manifest.made_at,
          manifest_sha256: digest,
          lanes,
          items,
          scratch_instance: instance,
        };
      } finally {
        await rm(scratch, { recursive: true, force: true });
      }
    }),
  );
}

/** @throws Error with the first lanes that differ */
function refuseDifferent({ different }: Restored, what: string): void {
  if (different.length === 0) return;
  throw new Error(`${what} differs in ${different.length} lanes: ${different.slice(0, 10).join(', ')}`);
}

interface Places {
  /** The backup, and the folder into which it was restored. */
  readonly folder: string;
  readonly scratch: string;
  /** Name of the restored file. */
  readonly file: string;
}

const PROBE_TIMEOUT_MS = 1_000;

async function askScratch(
  { folder, scratch, file }: Places,
  service: DefinedService,
  runtime: ServiceRuntime,
): Promise<ScratchInstance> {
  const { legacy } = service.config;
  const { scratchCommand: command } = legacy;
  if (!canBeAsked(runtime)) return 'cannot_be_asked';
  if (command === undefined) return 'not_configured';
  const on = <Result>(port: number, work: (instance: ServiceRuntime) => Promise<Result>): Promise<Result> => {
    const scheme = service.definition.endpoint.kind === 'http' ? 'http' : 'tcp';
    const endpoint = `${scheme}://127.0.0.1:${port}`;
    return withRuntime({ ...service, config: { ...service.config, legacy: { ...legacy, endpoint } } }, work);
  };
  const isAnswering = (port: number): Promise<boolean> =>
    on(port, async ({ legacy: backend, definition }) => {
      const deadlineAtMs = clock.now() + PROBE_TIMEOUT_MS;
      return backend.send({ body: Buffer.from(definition.probe), purpose: 'probe', deadlineAtMs });
    }).then(
      () => true,
      () => false,
    );
  await withScratchInstance({ command, folder: scratch, file, clock, isAnswering }, async (port) =>
    refuseDifferent(
      await on(port, (instance) => readBack(folder, { service: instance })),
      'the scratch instance',
    ),
  );
  return 'equal';
}
