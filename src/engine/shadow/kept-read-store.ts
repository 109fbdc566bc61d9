import type { LaneKey, ServiceName } from '../../domain/ids.ts';

/** A read that an agent has sent. */
export interface KeptRead {
  readonly service: ServiceName;
  readonly lane: LaneKey;
  readonly action: string;
  /** A digest of the lane and of the request to the orchestrator. Two reads with the same digest get the same answer. */
  readonly digest: string;
  /** The request's text. */
  readonly request: string;
}

/** Distinct reads of the last days, over all replicas. @throws StorageError */
export interface KeptReadStore {
  /** Adds reads, or records that they were sent again. Removes what is too old or too much. */
  keep(reads: readonly KeptRead[]): Promise<void>;
  /**
   * The kept read that has waited longest. No agent has sent it for a minute, it was not repeated yet in the present state of its
   * lane, and that lane is clean and delivered. It counts as repeated from now on.
   * @param versions by action: with another version, the same state proves something again
   */
  next(
    service: ServiceName,
    versions: Readonly<Record<string, string>>,
  ): Promise<Pick<KeptRead, 'request'> | undefined>;
}
