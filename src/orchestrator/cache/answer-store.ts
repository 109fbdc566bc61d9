/** A cached answer, with the facts to check it. */
export interface KeptAnswer {
  /** The version of the session before the answer was read. */
  readonly version: string;
  /** Time of the database, in milliseconds, at which a memory of the session expires and the answer changes. */
  readonly expiresAtMs: number | null;
  /** JSON of the answer's data. */
  readonly text: string;
}

/** Stores answers. A lost answer only costs time. */
export interface AnswerStore {
  /** Undefined also if the store is unreachable. Never throws. */
  get(key: string): Promise<KeptAnswer | undefined>;
  /** Stores the answer for at most `ttlMs`. Never throws. */
  set(key: string, answer: KeptAnswer, ttlMs: number): Promise<void>;
  /** Whether the store is reachable. If not, answers are read from the database. */
  isUp(): boolean;
  /** Round trip in milliseconds. @throws if the store is unreachable */
  ping(): Promise<number>;
  start(): Promise<void>;
  stop(): Promise<void>;
}
