import type { Faults } from './serial-server.ts';

/** One imitated service. To restart it, stop it and create it again. What it kept only in memory is lost. */
export interface StandIn {
  /** Where agents connect. */
  readonly endpoint: string;
  /** @throws Error if a port is taken or the store cannot be read. The original does not start then either */
  start: () => Promise<void>;
  stop: () => Promise<void>;
  setFaults: (faults: Faults) => void;
}

/** The options of every service. */
export interface StandInSettings {
  /** @defaultValue '127.0.0.1' */
  readonly host?: string;
  readonly port: number;
  /** Folder of its store; created if it does not exist. */
  readonly dataFolder: string;
  readonly faults?: Faults;
  /** Called when a request ended the service, which also happens to the originals. @defaultValue a warning of the process */
  readonly onDeath?: (reason: Error) => void;
}
