interface Stoppable {
  stop(): Promise<void>;
}

/** Everything a benchmark has started, ended in reverse order however the run ends. */
export interface Cleanup {
  keep<Part extends Stoppable>(part: Part): Part;
  /** Whether the run was interrupted: what fails from then on fails for that reason. */
  readonly isInterrupted: boolean;
  end(): Promise<void>;
}

export function createCleanup(): Cleanup {
  const kept: Stoppable[] = [];
  let isInterrupted = false;
  const end = async (): Promise<void> => {
    for (let part = kept.pop(); part !== undefined; part = kept.pop()) await part.stop();
  };
  // A reader that has seen enough (`| head`) must not end the run before everything is stopped.
  process.stdout.on('error', () => undefined);
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => {
      isInterrupted = true;
      void end().finally(() => process.exit(signal === 'SIGINT' ? 130 : 143));
    });
  }
  return {
    keep: (part) => {
      kept.push(part);
      return part;
    },
    get isInterrupted() {
      return isInterrupted;
    },
    end,
  };
}

/** The whole of a benchmark: however it ends, nothing is left running, and a failure says what could not be measured. */
export async function measured(
  what: string,
  run: (cleanup: Cleanup) => Promise<void>,
  participle = 'measured',
): Promise<void> {
  const cleanup = createCleanup();
  try {
    await run(cleanup);
  } catch (error) {
    if (!cleanup.isInterrupted)
      console.error(
        `${what} could not be ${participle}: ${error instanceof Error ? error.message : String(error)}`,
      );
    process.exitCode = 1;
  } finally {
    await cleanup.end();
  }
  process.disconnect?.();
}
