import type { LegacyCall, Reply } from '../engine/ports/ports.ts';

export interface ChannelLoad {
  readonly inFlight: number;
  readonly queued: number;
  readonly isConnected: boolean;
}

/** A connection to one server, with its own sockets, queue and limit. */
export interface Channel {
  send(call: LegacyCall): Promise<Reply>;
  /** The server has certainly received every call sent before this instant. */
  releaseSentBefore(instantMs: number): void;
  load(): ChannelLoad;
  start(): void;
  stop(): Promise<void>;
}
