import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';

/** Load that a command puts on the machine by itself. */
export interface Busy {
  readonly loops: number;
  stop(): Promise<void>;
}

/** One endless loop for each core, in threads of this process: they end with it, however it ends. */
export function startBusy(loops = availableParallelism()): Busy {
  const threads = Array.from({ length: loops }, () => new Worker('for (;;);', { eval: true }));
  return {
    loops,
    async stop() {
      await Promise.all(threads.map((thread) => thread.terminate()));
    },
  };
}
