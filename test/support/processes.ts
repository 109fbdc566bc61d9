import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** The memory settings that `npm start` gives the program. */
const FLAGS = startFlags();

/** Compiled code of every program that tests start: without it, each strips the types of hundreds of files again. */
export const COMPILE_CACHE = fileURLToPath(new URL('../../node_modules/.cache/crossfade', import.meta.url));

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url));

/** One of our own programs, running. */
export interface Program {
  readonly pid: number;
  /** What it printed, both streams, the last 64 KiB. */
  output(): string;
  /** Highest resident size so far, MiB; 0 where the system does not tell. */
  peakMegabytes(): number;
  /** SIGTERM, and waits for the end; SIGKILL after thirty seconds. */
  stop(): Promise<void>;
  /** SIGKILL, and waits for the end. */
  kill(): Promise<void>;
  readonly child: ChildProcess;
}

export interface ProgramOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** Environment variables that must not be inherited. */
  readonly without?: readonly string[];
  readonly cwd?: string;
  readonly readyTimeoutMs?: number;
  /** Path of another program. @defaultValue crossfade */
  readonly program?: string;
  /** Most files and sockets that it may open. */
  readonly openFiles?: number;
  /** Further stdio entries, from file descriptor 4 on. */
  readonly pipes?: number;
}

const OUTPUT_LIMIT = 64 * 1024;
const STOP_PATIENCE_MS = 30_000;

/** Starts `crossfade <args>` and waits until it says over IPC that it is ready. @throws Error with its output */
export async function startProgram(args: readonly string[], options: ProgramOptions = {}): Promise<Program> {
  const { readyTimeoutMs = 120_000, program = MAIN, cwd, pipes = 0, openFiles } = options;
  const child = spawn(...commandOf([...FLAGS, program, ...args], openFiles), {
    env: environmentOf(options),
    stdio: ['ignore', 'pipe', 'pipe', 'ipc', ...Array.from({ length: pipes }, () => 'pipe' as const)],
    ...(cwd !== undefined && { cwd }),
  });
  let printed = '';
  const keep = (chunk: Buffer): void => {
    printed = (printed + chunk.toString()).slice(-OUTPUT_LIMIT);
  };
  child.stdout?.on('data', keep);
  child.stderr?.on('data', keep);
  const exited = once(child, 'exit');
  let patience: NodeJS.Timeout | undefined;
  await Promise.race([
    ready(child),
    exited.then(([code, signal]) => {
      throw new Error(
        `crossfade ${args.join(' ')} ended (${String(code ?? signal)}) before it was ready:\n${printed}`,
      );
    }),
    new Promise<never>((_, reject) => {
      patience = setTimeout(() => {
        child.kill('SIGKILL');
        reject(
          new Error(`crossfade ${args.join(' ')} was not ready within ${readyTimeoutMs} ms:\n${printed}`),
        );
      }, readyTimeoutMs);
    }),
  ]).finally(() => clearTimeout(patience));
  let isAsked = false;
  void exited.then(([code, signal]) => {
    if (!isAsked)
      console.error(`crossfade ${args[0] ?? ''} ended by itself (${String(code ?? signal)}):\n${printed}`);
  });
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    isAsked = true;
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill(signal);
    const timer = setTimeout(() => child.kill('SIGKILL'), STOP_PATIENCE_MS);
    await exited;
    clearTimeout(timer);
  };
  return {
    pid: child.pid ?? 0,
    child,
    output: () => printed,
    peakMegabytes: () => peakMegabytes(child.pid ?? 0),
    stop: () => end('SIGTERM'),
    kill: () => end('SIGKILL'),
  };
}

function commandOf(args: readonly string[], openFiles?: number): [file: string, args: readonly string[]] {
  if (openFiles === undefined) return [process.execPath, args];
  return ['/bin/sh', ['-c', `ulimit -n ${openFiles} && exec "$@"`, 'sh', process.execPath, ...args]];
}

function environmentOf({ env = {}, without = [] }: ProgramOptions): NodeJS.ProcessEnv {
  // A sentence model beside what is measured or timed would be all that is seen; its own tests switch it on.
  const defaults = {
    NODE_NO_WARNINGS: '1',
    NODE_COMPILE_CACHE: COMPILE_CACHE,
    MALLOC_ARENA_MAX: '2',
    ORCHESTRATOR_EMBEDDINGS: 'off',
  };
  const given = Object.entries({ ...process.env, ...defaults }).filter(([name]) => !without.includes(name));
  return { ...Object.fromEntries(given), ...env };
}

async function ready(child: ChildProcess): Promise<void> {
  for (;;) {
    const [message] = (await once(child, 'message')) as [unknown];
    if (typeof message === 'object' && message !== null && 'type' in message && message.type === 'ready')
      return;
  }
}

function peakMegabytes(pid: number): number {
  try {
    const line = /VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
    return Math.round(Number(line?.[1] ?? 0) / 1024);
  } catch {
    return 0;
  }
}

function startFlags(): string[] {
  const manifest = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
    scripts: { start: string };
  };
  return manifest.scripts.start.split(' ').filter((word) => word.startsWith('--'));
}
