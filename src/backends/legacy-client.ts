import type { LegacyBackend } from '../engine/ports/ports.ts';

/** A legacy client that is started and stopped. */
export interface LegacyClient extends LegacyBackend {
  start(): Promise<void>;
  /** Rejects calls in flight, with effect `unknown`. */
  stop(): Promise<void>;
}
