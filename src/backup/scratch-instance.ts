import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { join } from 'node:path';
import type { Clock } from '../shared/clock.ts';

const HOST = '127.0.0.1';
/** A service that reads a large file may take this long to answer. */
const PATIENCE_MS = 60_000;
const LOOK_EVERY_MS = 100;
/** After this time a process that does not end is killed. */
const END_MS = 5_000;

export interface ScratchSettings {
  /** Program and arguments, with `{port}`, `{folder}` and `{file}`. */
  readonly command: readonly string[];
  /** The folder with the restored file, and the file's name. */
  readonly folder: string;
  readonly file: string;
  readonly clock: Clock;
  /** Whether the instance on this port answers. Never rejects. */
  readonly isAnswering: (port: number) => Promise<boolean>;
}

/**
 * Runs work while an instance of a service runs on a restored file, on a free port of this machine. The process is ended afterwards.
 * @throws Error if it does not start, or does not answer within a minute
 */
export async function withScratchInstance<Result>(
  settings: ScratchSettings,
  work: (port: number) => Promise<Result>,
): Promise<Result> {
  const { command, folder, file } = settings;
  const port = await freePort();
  const values: Readonly<Record<string, string>> = { port: String(port), folder, file: join(folder, file) };
  const [program = '', ...args] = command.map((part) =>
    part.replaceAll(/\{(port|folder|file)\}/g, (_all, name: string) => values[name] ?? ''),
  );
  // What it prints may hold memories of agents.
  const child = spawn(program, args, { cwd: folder, stdio: 'ignore' });
  const ended = endOf(child);
  const stopping = new AbortController();
  try {
    await Promise.race([untilAnswering(settings, port, stopping.signal), ended]);
    return await Promise.race([work(port), ended]);
  } finally {
    stopping.abort();
    await end(child, settings.clock);
  }
}

/** Rejects when the process ends, or cannot be started. */
async function endOf(child: ChildProcess): Promise<never> {
  const reason = await new Promise<string>((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('exit', (code, signal) => resolve(`it ended with ${signal ?? `code ${code}`}`));
  });
  throw new Error(`the scratch instance did not run: ${reason} (legacy.scratchCommand)`);
}

async function untilAnswering(
  { clock, isAnswering }: ScratchSettings,
  port: number,
  signal: AbortSignal,
): Promise<void> {
  const untilMs = clock.now() + PATIENCE_MS;
  while (!signal.aborted && !(await isAnswering(port))) {
    if (clock.now() > untilMs)
      throw new Error(
        `the scratch instance did not answer within ${PATIENCE_MS / 1_000} s (legacy.scratchCommand)`,
      );
    await clock.sleep(LOOK_EVERY_MS, signal);
  }
}

async function end(child: ChildProcess, clock: Clock): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill('SIGTERM');
  const late = clock.sleep(END_MS).then(() => child.kill('SIGKILL'));
  await Promise.race([exited, late]);
  await exited;
}

async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, HOST);
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('no free port was found');
  return address.port;
}
