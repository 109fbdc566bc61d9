/** Something that is started and stopped. Creating it has no effect. */
export interface Part {
  start(): Promise<void>;
  /** May be called after a failed start, or without a start. */
  stop(): Promise<void>;
}

/** Starts parts in order. If one fails, it and the parts before it are stopped, and its error is thrown. */
export async function startInOrder(parts: readonly Part[]): Promise<void> {
  const begun: Part[] = [];
  try {
    for (const part of parts) {
      begun.push(part);
      await part.start();
    }
  } catch (error) {
    await stopInOrder(begun).catch(() => undefined);
    throw error;
  }
}

/** Stops parts in reverse order, also after a failure. @throws the first failure */
export async function stopInOrder(parts: readonly Part[]): Promise<void> {
  const failures: unknown[] = [];
  for (const part of parts.toReversed()) await part.stop().catch((error: unknown) => failures.push(error));
  if (failures.length > 0) throw failures[0];
}
