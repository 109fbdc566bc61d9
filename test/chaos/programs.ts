import { setTimeout as sleep } from 'node:timers/promises';
import type { EventName } from '../../src/engine/ports/events.ts';
import { watchEvents } from '../e2e/event-watch.ts';
import { startProgram, type Program, type ProgramOptions } from '../support/processes.ts';

/** A program of ours that is killed and started again. */
export interface Restartable {
  /** Nothing where another fault has killed it. */
  signal(name: 'SIGSTOP' | 'SIGCONT'): void;
  kill(): Promise<void>;
  /** Ends it in order. Nothing where another fault has killed it. */
  leave(): Promise<void>;
  /** Starts its successor, which takes over its ports, and ends it in order so much later. */
  replace(afterMs: number): Promise<void>;
  /** Nothing where it runs. */
  restart(): Promise<void>;
  output(): string;
}

/** A program that stands still at an event. */
interface Armed {
  /** Resolves when it stood still there, and was killed. */
  readonly killed: Promise<void>;
}

/** A program that tells its events. */
export interface Haltable extends Restartable {
  /** Ends it in order. Its successor is killed at exactly the first event of that name. */
  arm(event: EventName): Promise<Armed>;
}

const START_TRIES = 20;
const START_PAUSE_MS = 500;

interface Running {
  program: Program;
  earlier: string;
}

export async function startRestartable(
  args: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<Restartable> {
  const running: Running = { program: await startProgram(args, { env }), earlier: '' };
  return restartable(running, () => startedAgain(args, { env }));
}

export async function startHaltable(
  args: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<Haltable> {
  const running: Running = { program: await startProgram(args, { env }), earlier: '' };
  return {
    ...restartable(running, () => startedAgain(args, { env })),
    async arm(event) {
      await running.program.stop();
      const halting = { ...env, CROSSFADE_EVENT_FD: '4', CROSSFADE_HALT_ON: event };
      const armed = await startedAgain(args, { env: halting, pipes: 1 });
      continueWith(running, armed);
      return {
        killed: watchEvents(armed.child)
          .seen(event)
          .then(() => armed.kill()),
      };
    },
  };
}

function continueWith(running: Running, program: Program): void {
  running.earlier = running.program.output();
  running.program = program;
}

function restartable(running: Running, again: () => Promise<Program>): Restartable {
  const isRunning = (): boolean => {
    const { exitCode, signalCode } = running.program.child;
    return exitCode === null && signalCode === null;
  };
  return {
    signal: (name) => void running.program.child.kill(name),
    kill: () => running.program.kill(),
    leave: () => running.program.stop(),
    async replace(afterMs) {
      const starting = again();
      const leaving = sleep(afterMs).then(() => running.program.stop());
      const [successor] = await Promise.all([starting, leaving]);
      continueWith(running, successor);
    },
    output: () => running.earlier + running.program.output(),
    async restart() {
      // Two faults may have killed it.
      if (!isRunning()) continueWith(running, await again());
    },
  };
}

/** A start ends while the database is away. It is tried again, as a supervisor would. */
async function startedAgain(args: readonly string[], options: ProgramOptions): Promise<Program> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await startProgram(args, options);
    } catch (error) {
      if (tries === START_TRIES) throw error;
      await sleep(START_PAUSE_MS);
    }
  }
}
