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
