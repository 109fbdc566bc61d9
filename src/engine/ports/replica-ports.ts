import type { ReplicaId } from '../../domain/ids.ts';

/** A registered proxy process, as its last heartbeat said. */
export interface ReplicaReport {
  readonly replica: ReplicaId;
  readonly silentMs: number;
  /** Coverage by service, as far as none of its unjournaled writes is under way. */
  readonly coverage: Readonly<Record<string, number>>;
  /** The services that it serves. Undefined: any. */
  readonly services?: readonly string[] | undefined;
}

/** What a replica says of itself with every heartbeat. */
export interface Beat {
  readonly coverage: Readonly<Record<string, number>>;
  /** It has written, or may write, what the journal does not know. */
  readonly isSpilling: boolean;
}

/** What it hears in return. */
export interface BeatAnswer {
  /** All that are registered; without this one where the others have given it up. */
  readonly replicas: readonly ReplicaReport[];
  /** Another replica that shares a service, listed or not, may have written what the journal does not know. */
  readonly isAnySpilled: boolean;
}

/** Registered proxy processes. */
export interface ReplicaStore {
  /**
   * @param spill where it writes when the journal is away, if anywhere: an earlier process with the same one is dead
   * @returns how many others that share a service are on the list, dead ones among them
   */
  register(replica: ReplicaId, spill?: string): Promise<number>;
  heartbeat(replica: ReplicaId, beat: Beat): Promise<BeatAnswer>;
  /** Leaves the list, and the lanes to whoever writes to them next. */
  leave(replica: ReplicaId): Promise<void>;
}
