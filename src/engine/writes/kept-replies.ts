import type { Reply, WriteRef } from '../ports/ports.ts';

/** A write whose agent may have no reply: its outcome is unknown, or its reply could not be delivered. */
export interface UnansweredWrite {
  readonly sequence: number;
  readonly request: string;
  /** Its effect is unknown so far. */
  readonly isUnsettled: boolean;
  /** The primary's reply is kept, because it came late or its agent was gone. */
  readonly hasReply: boolean;
}

/** Replies that no agent got, for 60 s. Every replica sees the same. @throws StorageError */
export interface KeptReplies {
  /** Keeps the primary's reply to a write, unless a repeat has taken the write's place meanwhile. */
  keep(ref: WriteRef, reply: Reply): Promise<void>;
  /** Earlier writes of the same lane and action that may have repeats, oldest first, of the last 60 s. */
  unanswered(ref: WriteRef, action: string): Promise<readonly UnansweredWrite[]>;
  /**
   * A repeat, `by`, takes the place of these writes of its lane. None of them counts as unanswered any more.
   * @returns the kept reply of one of them; only for this repeat, any number of times
   */
  take(by: WriteRef, sequences: readonly number[]): Promise<Reply | undefined>;
}
