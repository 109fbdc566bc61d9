import type { FastifyInstance } from 'fastify';
import type { Clock } from '../../migration/ports.ts';

interface Address {
  readonly host: string;
  readonly port: number;
  readonly clock: Clock;
  /** How long a port that is taken is waited for, milliseconds. @defaultValue 0 */
  readonly takeOverMs?: number;
}

/** How soon a port that is taken is tried again, milliseconds. */
const AGAIN_AFTER_MS = 20;

/** As soon as the port is free: the proxy that this one replaces may have it still. */
export async function listen(
  app: FastifyInstance,
  { host, port, clock, takeOverMs = 0 }: Address,
): Promise<void> {
  const endAtMs = clock.now() + takeOverMs;
  for (;;) {
    try {
      await app.listen({ host, port });
      return;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE' || clock.now() >= endAtMs) throw error;
      await clock.sleep(AGAIN_AFTER_MS);
    }
  }
}
