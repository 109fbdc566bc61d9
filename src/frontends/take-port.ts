import type { Clock } from '../shared/clock.ts';
import { messageOf } from '../domain/errors.ts';

export interface Place {
  readonly host: string;
  readonly port: number;
  readonly clock: Clock;
  /** How long to wait for a port in use, milliseconds, until the proxy that this one replaces releases it. @defaultValue 0 */
  readonly takeOverMs?: number;
}

/** libzmq reports EAGAIN for an address that its last owner has not released yet. */
const TAKEN = new Set(['EADDRINUSE', 'EAGAIN']);
const AGAIN_AFTER_MS = 20;

/** Listens as soon as the port is free. @throws Error if it stays in use, or cannot be opened */
export async function takePort(
  listen: () => Promise<unknown>,
  { host, port, clock, takeOverMs = 0 }: Place,
): Promise<void> {
  const endAtMs = clock.now() + takeOverMs;
  for (;;) {
    try {
      await listen();
      return;
    } catch (error) {
      const isTaken = TAKEN.has((error as NodeJS.ErrnoException).code ?? '');
      if (!isTaken || clock.now() >= endAtMs)
        throw new Error(`cannot listen on ${host}:${port}: ${messageOf(error)}`, { cause: error });
      await clock.sleep(AGAIN_AFTER_MS);
    }
  }
}
