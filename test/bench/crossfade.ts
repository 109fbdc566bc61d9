import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';
import type { ServiceStatus } from '../support/deployment.ts';
import { startProgram } from '../support/processes.ts';
import type { Cleanup } from './cleanup.ts';

export interface CrossfadeSettings {
  readonly folder: string;
  readonly httpPort: number;
  readonly journalUrl: string;
  /** Beside what is made here. */
  readonly config: Readonly<Record<string, object>>;
  /** Of its service: dual-write, shadow-read and so on. Everything else is off. */
  readonly flagsOn: readonly string[];
  /** Further environment variables. */
  readonly env?: Readonly<Record<string, string>>;
}

/** What GET /v1/status says, as far as it is read here. */
export interface BenchStatus {
  readonly services: readonly (ServiceStatus & {
    readonly shadow_dropped: Readonly<Record<string, number>>;
    readonly not_comparable_by: Readonly<Record<string, number>>;
    readonly writes: Readonly<Record<string, number>>;
  })[];
  readonly backlog: Readonly<Record<'deliveries' | 'copies' | 'shadow_reads', number>>;
}

/** One Crossfade, whose only service stands in one stage. */
export interface Crossfade {
  status(): Promise<BenchStatus>;
  /** Waits until nothing is left to deliver, copy or compare. Returns how long that took, milliseconds. */
  settle(): Promise<number>;
  /** Highest resident size so far, MiB; 0 where the system does not tell. */
  peakMegabytes(): number;
  stop(): Promise<void>;
}

const SETTLE_LIMIT_MS = 15_000;
const LOOK_EVERY_MS = 25;

export async function startCrossfade(settings: CrossfadeSettings, cleanup: Cleanup): Promise<Crossfade> {
  const { folder, httpPort } = settings;
  const flags = join(folder, 'flags');
  mkdirSync(flags, { recursive: true });
  writeFlags(flags, settings.flagsOn);
  const config = join(folder, 'crossfade.yaml');
  const file = {
    http: { port: httpPort },
    journal: { folder: join(folder, 'journal') },
    rollout: { folder: flags },
    interlocks: 'warn',
    telemetry: { logLevel: 'warn' },
    ...settings.config,
  };
  writeFileSync(config, stringify(file));
  const program = cleanup.keep(
    await startProgram(['start', '--config', config], {
      env: { ...settings.env, DATABASE_URL: settings.journalUrl },
    }),
  );
  const status = async (): Promise<BenchStatus> =>
    (await (await fetch(`http://127.0.0.1:${httpPort}/v1/status`)).json()) as BenchStatus;
  return {
    status,
    settle: () => settle(status),
    peakMegabytes: () => program.peakMegabytes(),
    stop: () => program.stop(),
  };
}

async function settle(status: () => Promise<BenchStatus>): Promise<number> {
  const startedAtMs = performance.now();
  for (;;) {
    const { deliveries, copies, shadow_reads } = (await status()).backlog;
    const waitedMs = performance.now() - startedAtMs;
    if (deliveries + copies + shadow_reads === 0 || waitedMs > SETTLE_LIMIT_MS) return waitedMs;
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
  }
}

/** A feature that is on without a strategy of its own is on for everybody. */
function writeFlags(folder: string, names: readonly string[]): void {
  const strategies = [{ name: 'default', parameters: {} }];
  const features = names.map((name) => ({ name, type: 'release', enabled: true, strategies }));
  writeFileSync(join(folder, 'crossfade.json'), JSON.stringify({ version: 2, features }));
}
