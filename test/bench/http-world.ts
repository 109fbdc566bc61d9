import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { freePort, freePorts } from '../support/ports.ts';
import { startPostgres, type TestPostgres } from '../support/postgres.ts';
import { startChild, type Child } from './child.ts';
import type { Cleanup } from './cleanup.ts';
import { startCrossfade, type Crossfade } from './crossfade.ts';
import type { HttpJob } from './http-load.ts';
import { PREFIX, SERVICE } from './http-service.ts';
import { nginxVersion, startNginx } from './nginx.ts';

/** One way to the legacy service. */
export interface HttpPath {
  readonly origin: string;
  readonly prefix: string;
  /** Absent for what is not ours. */
  readonly crossfade?: Crossfade;
}

interface Place {
  readonly root: string;
  readonly postgres: TestPostgres;
  readonly cleanup: Cleanup;
}

interface Instance {
  readonly name: string;
  readonly legacyPort: number;
  readonly flagsOn: readonly string[];
}

const DEFINITION = fileURLToPath(new URL('http-service.ts', import.meta.url));
const FILLING = 16;
/** Shadow reads at the same time, and how many may wait: a proxy for 64 connections, where the default suits a handful of agents. */
export const SHADOW = { concurrency: 16, queueSize: 1_000 };

const at = (port: number): string => `http://127.0.0.1:${port}`;

/** Every path as real processes, by name, each service filled. Only one path is to be loaded at a time. */
export async function startHttpWorld(load: Child, cleanup: Cleanup): Promise<ReadonlyMap<string, HttpPath>> {
  const root = mkdtempSync(join(tmpdir(), 'crossfade-bench-'));
  chmodSync(root, 0o755);
  cleanup.keep({ stop: async () => rmSync(root, { recursive: true, force: true }) });
  const place = { root, cleanup, postgres: cleanup.keep(await startPostgres()) };
  const legacyPort = await startLegacy(cleanup);
  const fastify = await freePort();
  cleanup.keep(await startChild('http-fastify.ts', { port: fastify, upstream: at(legacyPort) }));
  const off = await startInstance(place, { name: 'off', legacyPort, flagsOn: [] });
  const own = { legacyPort: await startLegacy(cleanup), flagsOn: ['dual-write', 'shadow-read'] };
  const shadowed = await startInstance(place, { name: 'shadowed', ...own });
  const paths = new Map<string, HttpPath>([
    ['direct', { origin: at(legacyPort), prefix: '' }],
    ['@fastify/http-proxy', { origin: at(fastify), prefix: '' }],
    ['off', off],
    ['dual_write + shadow_read', shadowed],
  ]);
  const mirrored = nginxVersion() === undefined ? undefined : await startMirror(place, legacyPort);
  if (mirrored !== undefined) paths.set('nginx mirror', mirrored.path);
  const filled = [at(legacyPort), ...(mirrored === undefined ? [] : [mirrored.copy])];
  for (const origin of filled) await fill(load, { origin, prefix: '' });
  await fill(load, shadowed);
  await shadowed.crossfade?.settle();
  return paths;
}

async function fill(load: Child, { origin, prefix }: HttpPath): Promise<void> {
  const job: HttpJob = { kind: 'fill', origin, prefix, connections: FILLING, warmUpMs: 0, seconds: 0 };
  await load.ask(job);
}

async function startLegacy(cleanup: Cleanup): Promise<number> {
  const port = await freePort();
  cleanup.keep(await startChild('http-legacy.ts', { port }));
  return port;
}

async function startMirror(
  { root, cleanup }: Place,
  upstream: number,
): Promise<{ path: HttpPath; copy: string }> {
  const [port, mirror] = [await freePort(), await startLegacy(cleanup)];
  await startNginx({ folder: join(root, 'nginx'), port, upstream, mirror }, cleanup);
  return { path: { origin: at(port), prefix: '' }, copy: at(mirror) };
}

async function startInstance({ root, cleanup, postgres }: Place, instance: Instance): Promise<HttpPath> {
  const [httpPort = 0, orchestratorPort = 0] = await freePorts(2);
  const endpoint = `tcp://127.0.0.1:${orchestratorPort}`;
  cleanup.keep(await startChild('http-orchestrator.ts', { endpoint }));
  const legacy = { endpoint: at(instance.legacyPort), connections: 128 };
  const settings = {
    folder: join(root, instance.name),
    httpPort,
    journalUrl: await postgres.createDatabase(`journal_${instance.name}`),
    config: {
      orchestrator: { endpoint },
      shadow: SHADOW,
      services: { [SERVICE]: { definition: DEFINITION, legacy } },
    },
    flagsOn: instance.flagsOn.map((flag) => `crossfade.${SERVICE}.${flag}`),
  };
  return { origin: at(httpPort), prefix: PREFIX, crossfade: await startCrossfade(settings, cleanup) };
}
