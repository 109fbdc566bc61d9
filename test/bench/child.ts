import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

/** A part of a benchmark in a process of its own, spoken with over IPC. */
export interface Child {
  /** Sends a job and waits for its result. One at a time. @throws Error where the process ends or reports a failure */
  ask<Result>(job: object): Promise<Result>;
  stop(): Promise<void>;
}

interface Answer {
  readonly result?: unknown;
  readonly error?: string;
}

const PATIENCE_MS = 5_000;

/** Starts a file of this folder with its settings as one JSON argument, and waits until it says that it is ready. */
export async function startChild(file: string, settings: object = {}): Promise<Child> {
  const child = fork(fileURLToPath(new URL(file, import.meta.url)), [JSON.stringify(settings)], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    env: { ...process.env, NODE_NO_WARNINGS: '1' },
  });
  const ended = once(child, 'exit');
  const next = async (): Promise<Answer> => {
    const answer = await Promise.race([once(child, 'message'), ended.then(() => undefined)]);
    if (answer === undefined) throw new Error(`${file} has ended (${child.exitCode ?? child.signalCode})`);
    return answer[0] as Answer;
  };
  await next();
  return {
    async ask<Result>(job: object) {
      child.send(job);
      const { result, error } = await next();
      if (error !== undefined) throw new Error(`${file}: ${error}`);
      return result as Result;
    },
    stop: () => stop(child, ended),
  };
}

async function stop(child: ChildProcess, ended: Promise<unknown>): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), PATIENCE_MS);
  await ended;
  clearTimeout(timer);
}

/** In the child: its settings. It ends when its parent goes, whatever its parent dies of. */
export function settingsOfChild(): unknown {
  process.on('disconnect', () => process.exit(0));
  // Ctrl-C reaches the whole group: the parent ends the processes in its order.
  process.on('SIGINT', () => undefined);
  return JSON.parse(process.argv[2] ?? '{}') as unknown;
}

/** In the child: says that it is ready, and does the jobs that come. */
export function serveParent<Job>(work: (job: Job) => Promise<object> = async () => ({})): void {
  process.on('message', (job) => {
    work(job as Job).then(
      (result) => process.send?.({ result }),
      (error: unknown) => process.send?.({ error: String(error) }),
    );
  });
  process.send?.({ result: 'ready' });
}
