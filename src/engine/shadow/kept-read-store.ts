import type { LaneKey, ServiceName } from '../../domain/ids.ts';

/** A read that an agent has sent. */
export interface KeptRead {
  readonly service: ServiceName;
  readonly lane: LaneKey;
  readonly action: string;
  /** Stands for the lane and for what the orchestrator is asked: two reads with the same digest get the same answer. */
  readonly digest: string;
  /** The request's text. */
  readonly request: string;
}

/** Distinct reads of the last days, of all replicas. @throws StorageError */
export interface KeptReadStore {
  /** Adds reads, or notes that they were sent again. What is too old or too much leaves. */
  keep(reads: readonly KeptRead[]): Promise<void>;
  /**
   * The read that has waited longest of those that no agent has sent for a minute, and that were not asked again yet on the present
   * state of their lane, which is clean and delivered. It counts as asked from now on.
   * @param versions by action: with another version the same state proves something again
   */
  next(
    service: ServiceName,
    versions: Readonly<Record<string, string>>,
  ): Promise<Pick<KeptRead, 'request'> | undefined>;
}
