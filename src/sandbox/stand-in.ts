import type { Faults } from './serial-server.ts';

/** One imitated service. Stopping and making it anew is a restart: what it kept in memory only is gone. */
export interface StandIn {
  /** Where agents connect. */
  readonly endpoint: string;
  /** @throws Error when a port is taken or the store cannot be read, as the original does not come up either */
  start: () => Promise<void>;
  stop: () => Promise<void>;
  setFaults: (faults: Faults) => void;
}

/** What every service is set up with. */
export interface StandInSettings {
  /** @defaultValue '127.0.0.1' */
  readonly host?: string;
  readonly port: number;
  /** Where its store lies; made when it does not exist. */
  readonly dataFolder: string;
  readonly faults?: Faults;
  /** Told when a request ended the service, which happens to the originals too. Defaults to a warning of the process. */
  readonly onDeath?: (reason: Error) => void;
}
