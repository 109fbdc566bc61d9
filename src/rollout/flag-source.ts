import type { Flags } from '../migration/ports.ts';

/** How current the flags are. */
interface FlagSourceState {
  /** Where they come from, printable: never a token. */
  readonly source: string;
  /** False while what is evaluated may be older than what the source says: never read, unreachable, not readable. */
  readonly fresh: boolean;
  readonly lastError?: string;
}

/** Flags that are read from somewhere while the proxy runs. */
export interface FlagSource extends Flags {
  /**
   * Reads the flags for the first time. Before it every flag is unknown, and so off.
   * @throws Error from files that cannot be used; a server that cannot be reached is waited for (2 s), and asked on
   */
  start(): Promise<void>;
  stop(): Promise<void>;
  describe(): FlagSourceState;
}

/** Told in words about flags that cannot be read, once for each new reason. */
export type OnProblem = (message: string) => void;
