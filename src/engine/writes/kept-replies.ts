import type { Reply, WriteRef } from '../ports/ports.ts';

/** A write of which the agent may have no reply: its outcome is unknown, or its reply could not be delivered. */
export interface UnansweredWrite {
  readonly sequence: number;
  readonly request: string;
  /** Nobody knows yet whether it took effect. */
  readonly isUnsettled: boolean;
  /** The primary's reply is kept: it came late, or its agent was gone. */
  readonly hasReply: boolean;
}

/** Replies that no agent has got, for 60 s. Every replica sees the same. @throws StorageError */
export interface KeptReplies {
  /** Keeps the primary's reply to a write, unless a repeat has taken the write's place meanwhile. */
  keep(ref: WriteRef, reply: Reply): Promise<void>;
  /** Writes of the same lane and action before this one that repeats are told from, oldest first; of the last 60 s. */
  unanswered(ref: WriteRef, action: string): Promise<readonly UnansweredWrite[]>;
  /**
   * A repeat, `by`, takes the place of these writes of its lane: none of them is unanswered any more.
   * @returns the reply that was kept of one of them; to this repeat only, as often as it asks
   */
  take(by: WriteRef, sequences: readonly number[]): Promise<Reply | undefined>;
}
