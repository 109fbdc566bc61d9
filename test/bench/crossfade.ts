import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { type Asked, writeFlags as writeAsked } from '../accept/flags.ts';
import type { ServiceStatus } from '../support/deployment.ts';
import { startProgram } from '../support/processes.ts';
import { createProgressBar } from '../support/progress.ts';
import type { Cleanup } from './cleanup.ts';

export interface CrossfadeSettings {
  readonly folder: string;
  readonly httpPort: number;
  readonly journalUrl: string;
  /** Beside what is made here. */
  readonly config: Readonly<Record<string, object>>;
  /** Flags that are on for every lane, such as dual-write, while all others are off; or the percentage of each flag. */
  readonly flagsOn: readonly string[] | Asked;
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
  /** Changes its flags, as an operator who edits the file. */
  ask(asked: Asked): void;
  status(): Promise<BenchStatus>;
  /** Waits until nothing is left to deliver, copy or compare. Returns how long that took, milliseconds. */
  settle(): Promise<number>;
  /** Highest resident size so far, MiB; 0 where the system does not tell. */
  peakMegabytes(): number;
  stop(): Promise<void>;
}

const SETTLE_LIMIT_MS = 15_000;
const LOOK_EVERY_MS = 25;
const LOOK_AT_RUN_MS = 100;

export async function startCrossfade(settings: CrossfadeSettings, cleanup: Cleanup): Promise<Crossfade> {
  const { folder, httpPort } = settings;
  const flags = join(folder, 'flags');
  mkdirSync(flags, { recursive: true });
  const { flagsOn } = settings;
  if ('dualWrite' in flagsOn) writeAsked(flags, flagsOn);
  else writeFlags(flags, flagsOn);
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
    ask: (asked) => writeAsked(flags, asked),
    status,
    settle: () => settle(status),
    peakMegabytes: () => program.peakMegabytes(),
    stop: () => program.stop(),
  };
}

/** What a run has done, as far as it is read here. */
export interface RunShown {
  readonly run: number;
  readonly state: string;
  readonly began_at: string;
  readonly finished_at: string | null;
  readonly lanes: number;
  readonly lanes_done: number;
  readonly services: Readonly<Record<string, Readonly<Record<string, number>>>>;
}

/** Posts the body, or gets the path without one. @throws Error with the answer */
export async function askProxy<Answer>(url: string, body?: object): Promise<Answer> {
  const headers = { 'content-type': 'application/json' };
  const post = { method: 'POST', headers, body: JSON.stringify(body) };
  const response = await fetch(url, body === undefined ? {} : post);
  const answer = await response.text();
  if (!response.ok) throw new Error(`${url}: ${answer}`);
  return JSON.parse(answer) as Answer;
}

/** A run from the moment it is asked for to its document. @throws Error where it does not finish */
export async function runToItsEnd(proxyUrl: string, kind: string): Promise<RunShown & { seconds: number }> {
  const asked = { kind, person: 'bench', reason: 'a benchmark' };
  const { run } = await askProxy<RunShown>(`${proxyUrl}/v1/runs`, asked);
  const bar = createProgressBar(1);
  for (;;) {
    const shown = await askProxy<RunShown>(`${proxyUrl}/v1/runs/${run}`);
    bar.show(shown.lanes === 0 ? 0 : shown.lanes_done / shown.lanes, `of the ${kind}`);
    if (shown.state === 'finished') {
      bar.end();
      return { ...shown, seconds: secondsOf(shown) };
    }
    if (shown.state !== 'running' && shown.state !== 'listing')
      throw new Error(`the ${kind} is ${shown.state}`);
    await new Promise((resolve) => setTimeout(resolve, LOOK_AT_RUN_MS));
  }
}

/** Measured by the database's clock, so the pause between two queries does not count. */
function secondsOf({ began_at: began, finished_at: finished }: RunShown): number {
  return (Date.parse(finished ?? '') - Date.parse(began)) / 1_000;
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
