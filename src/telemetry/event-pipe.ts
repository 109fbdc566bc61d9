import { writeSync } from 'node:fs';
import type { EventName, Listener } from '../engine/ports/events.ts';

export interface EventPipeOptions {
  /** An open file descriptor that the parent process reads. */
  readonly fd: number;
  /** The process blocks forever after it has written this event, so that the parent can kill it at exactly that step. */
  readonly haltOn?: EventName;
}

/** The members of an event that identify where it happened. No others are written. */
const IDS = [
  'operationId',
  'service',
  'action',
  'lane',
  'sequence',
  'generation',
  'outcome',
  'result',
] as const;

/** Writes every event as one line of JSON before the engine continues. For crash tests. */
export function createEventPipe({ fd, haltOn }: EventPipeOptions): Listener {
  return (name, event) => {
    writeLine(fd, lineOf(name, event));
    if (name === haltOn) haltForEver();
  };
}

function lineOf(name: EventName, event: object): string {
  const members = new Map<string, unknown>(Object.entries(event));
  const ids = IDS.filter((id) => members.has(id)).map((id) => [id, members.get(id)]);
  return `${JSON.stringify({ name, ...Object.fromEntries(ids) })}\n`;
}

function writeLine(fd: number, line: string): void {
  const bytes = Buffer.from(line);
  let written = 0;
  while (written < bytes.length) {
    try {
      written += writeSync(fd, bytes, written);
    } catch (error) {
      // The pipe is full because its reader is slow. The line must be written before the engine continues.
      if (!isFull(error)) throw error;
      pauseThread(1);
    }
  }
}

function isFull(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'EAGAIN';
}

function haltForEver(): never {
  for (;;) pauseThread(Infinity);
}

/** Blocks the whole thread: no timer, socket or promise continues. */
function pauseThread(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}
