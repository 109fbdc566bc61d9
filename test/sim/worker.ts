import { parentPort } from 'node:worker_threads';
import { simulate } from './run.ts';
import { replaceGlobals } from './virtual-globals.ts';
import type { RunSettings } from './world.ts';

replaceGlobals();

/** Settings come in, results go out, one at a time. */
parentPort?.on('message', (settings: RunSettings) => {
  void simulate(settings).then((result) => parentPort?.postMessage(result));
});
