import { parentPort, workerData } from 'node:worker_threads';
import { simulate } from './run.ts';
import { replaceGlobals } from './virtual-globals.ts';
import type { RunSettings } from './world.ts';

replaceGlobals();

/** Seeds come in, results go out, one at a time. */
parentPort?.on('message', (seed: number) => {
  const settings: RunSettings = { ...(workerData as RunSettings), seed };
  void simulate(settings).then((result) => parentPort?.postMessage(result));
});
