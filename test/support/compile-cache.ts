import { COMPILE_CACHE } from './processes.ts';

/** Vitest's global setup: every process of the run keeps the code that it compiled, and finds it there the next time. */
export default function setup(): void {
  process.env['NODE_COMPILE_CACHE'] ??= COMPILE_CACHE;
}
