import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { parse, stringify } from 'yaml';
import type { Deployment } from './deployment.ts';
import { eventually } from './eventually.ts';
import { freePorts } from './ports.ts';
import { startProgram, type Program } from './processes.ts';

const PATIENCE_MS = 60_000;

/** Where agents of the second replica connect, by service. */
export function secondEndpoints({ configFile }: Deployment): Readonly<Record<string, string>> {
  const { services } = parse(readFileSync(fileOf(configFile), 'utf8')) as Settings;
  return Object.fromEntries(
    Object.entries(services).map(([service, { port }]) => [service, `tcp://127.0.0.1:${port}`]),
  );
}

const fileOf = (configFile: string): string => join(dirname(configFile), 'second.yaml');

interface Settings {
  http: { port: number };
  journal: { folder: string };
  services: Record<string, { port: number; healthPort?: number }>;
}

/** Another replica on the same PostgreSQL, legacy services and flags. Resolves when both know of each other, and writes are covered. */
export async function startSecondReplica(deployment: Deployment): Promise<Program> {
  const { configFile, databaseUrl } = deployment;
  const settings = parse(readFileSync(configFile, 'utf8')) as Settings;
  const services = Object.values(settings.services);
  const ports = await freePorts(2 * services.length + 1);
  settings.http.port = ports.pop() ?? 0;
  settings.journal.folder = join(dirname(configFile), 'second');
  for (const service of services) {
    service.port = ports.pop() ?? 0;
    if (service.healthPort !== undefined) service.healthPort = ports.pop() ?? 0;
  }
  const file = fileOf(configFile);
  writeFileSync(file, stringify(settings));
  const program = await startProgram(['start', '--config', file], { env: { DATABASE_URL: databaseUrl } });
  await eventually(
    'two replicas, and coverage',
    async () => {
      const { replicas, services: shown } = await deployment.status();
      return replicas.live === 2 && shown.every(({ coverage }) => coverage > 0);
    },
    PATIENCE_MS,
  );
  return program;
}
