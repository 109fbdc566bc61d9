/** Something that is started and stopped. Making it did nothing yet. */
export interface Part {
  start(): Promise<void>;
  /** Also after a start that failed or never was. */
  stop(): Promise<void>;
}

/** Starts top to bottom. When one fails, it and those before it are stopped, and its error is thrown. */
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

/** Stops bottom to top, each although another failed. @throws the first failure */
export async function stopInOrder(parts: readonly Part[]): Promise<void> {
  const failures: unknown[] = [];
  for (const part of parts.toReversed()) await part.stop().catch((error: unknown) => failures.push(error));
  if (failures.length > 0) throw failures[0];
}
