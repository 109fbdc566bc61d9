/** Something that is started and stopped. Creating it has no effect. */
export interface Part {
  readonly name: string;
  start(): Promise<void>;
  stop(): Promise<void>;
}

export interface Running {
  /** Starts the parts in order. If one fails, the parts before it are stopped and its error is thrown. */
  start(): Promise<void>;
  /** Stops the parts in reverse order, also after a failure. @throws AggregateError naming the parts that did not stop */
  stop(): Promise<void>;
  /** The names of the parts that a stop currently waits for. */
  waitingFor(): readonly string[];
}

/** Parts that start in order and stop at the same time, so that a successor gets all ports of agents at once. */
export function stoppingTogether(name: string, parts: readonly Part[]): Part {
  const running = parts.map((part) => inOrder([part]));
  const stop = async (): Promise<void> => {
    const results = await Promise.allSettled(running.map((part) => part.stop()));
    const failures = results.flatMap((result) =>
      result.status === 'rejected' ? [result.reason as Error] : [],
    );
    if (failures.length > 0)
      throw new AggregateError(failures, failures.map(({ message }) => message).join('; '));
  };
  return {
    name,
    stop,
    async start() {
      try {
        for (const part of running) await part.start();
      } catch (error) {
        await stop().catch(() => undefined);
        throw error;
      }
    },
  };
}

/** Combines parts, in start order. */
export function inOrder(parts: readonly Part[]): Running {
  const started: Part[] = [];
  let stopping: Part | undefined;
  const stop = async (): Promise<void> => {
    const failures: Error[] = [];
    for (const part of started.splice(0).toReversed()) {
      stopping = part;
      await part.stop().catch((cause: unknown) => {
        failures.push(new Error(`${part.name} did not stop cleanly`, { cause }));
      });
    }
    stopping = undefined;
    if (failures.length > 0)
      throw new AggregateError(failures, failures.map(({ message }) => message).join('; '));
  };
  return {
    stop,
    waitingFor: () => (stopping === undefined ? [] : [stopping.name]),
    async start() {
      for (const part of parts) {
        try {
          await part.start();
        } catch (cause) {
          await stop().catch(() => undefined);
          throw new Error(
            `${part.name} did not start: ${cause instanceof Error ? cause.message : String(cause)}`,
            { cause },
          );
        }
        started.push(part);
      }
    },
  };
}
