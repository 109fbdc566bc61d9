import { Worker } from 'node:worker_threads';
import type { RunResult } from './run.ts';
import type { RunSettings } from './world.ts';

/** Threads that simulate one life each at a time: the simulation replaces timers and clock, so that it needs a thread of its own. */
export interface Threads {
  /** Simulates on a thread that is idle, or waits for one. */
  run(settings: RunSettings): Promise<RunResult>;
  end(): Promise<void>;
}

export function createThreads(count: number): Threads {
  const threads: Worker[] = [];
  const idle: Worker[] = [];
  const waiting: ((thread: Worker) => void)[] = [];

  function take(): Promise<Worker> {
    const free = idle.pop();
    if (free !== undefined) return Promise.resolve(free);
    if (threads.length === count) return new Promise((resolve) => waiting.push(resolve));
    const thread = new Worker(new URL('worker.ts', import.meta.url));
    threads.push(thread);
    return Promise.resolve(thread);
  }

  function give(thread: Worker): void {
    const next = waiting.shift();
    if (next === undefined) idle.push(thread);
    else next(thread);
  }

  return {
    async run(settings) {
      const thread = await take();
      try {
        return await runOn(thread, settings);
      } finally {
        give(thread);
      }
    },
    async end() {
      for (const thread of threads) await thread.terminate();
    },
  };
}

function runOn(thread: Worker, settings: RunSettings): Promise<RunResult> {
  return new Promise((resolve, reject) => {
    const failed = (error: unknown): void =>
      reject(new Error(`Seed ${settings.seed} broke the simulation`, { cause: error }));
    thread.once('error', failed);
    thread.once('message', (result: RunResult) => {
      thread.off('error', failed);
      resolve(result);
    });
    thread.postMessage(settings);
  });
}
