// Runs in a worker thread: parsing and comparing a mebibyte takes tens of milliseconds.
import { parentPort } from 'node:worker_threads';
import type { LargeAnswer, LargeQuestion } from './large-comparisons.ts';
import { compareReplies } from '../engine/compare/compare-replies.ts';

parentPort?.on('message', ({ id, pair }: LargeQuestion) => {
  parentPort?.postMessage({ id, judgement: compareReplies(pair) } satisfies LargeAnswer);
});
