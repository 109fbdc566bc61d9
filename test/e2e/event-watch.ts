import type { ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';

/** A line that the proxy wrote on its event pipe. */
export interface EventLine {
  readonly name: string;
  readonly service?: string;
  readonly lane?: string;
  readonly sequence?: number;
}

export interface EventWatch {
  readonly lines: readonly EventLine[];
  /** Resolves at once where the `count`th event of that name was seen already. */
  seen(name: string, count?: number): Promise<void>;
}

/** Reads what a program says on file descriptor 4. */
export function watchEvents(child: ChildProcess): EventWatch {
  const pipe = child.stdio[4];
  if (!(pipe instanceof Readable)) throw new Error('The program was started without an event pipe');
  const lines: EventLine[] = [];
  const waiting = new Set<() => void>();
  createInterface({ input: pipe }).on('line', (line) => {
    lines.push(JSON.parse(line) as EventLine);
    for (const look of waiting) look();
  });
  return {
    lines,
    seen: (name, count = 1) =>
      new Promise((resolve) => {
        const look = (): void => {
          if (lines.filter((line) => line.name === name).length < count) return;
          waiting.delete(look);
          resolve();
        };
        waiting.add(look);
        look();
      }),
  };
}
