/** An answer that was kept, and what it must be checked against. */
export interface KeptAnswer {
  /** The version of the session before the answer was read. */
  readonly version: string;
  /** From then on, by the clock of the database in milliseconds, the answer is another one: something in the session expires. */
  readonly expiresAtMs: number | null;
  /** JSON of the answer's data. */
  readonly text: string;
}

/** Where answers are kept. Losing one costs time and nothing else. */
export interface AnswerStore {
  /** Undefined also where the store is out of reach. Never throws. */
  get(key: string): Promise<KeptAnswer | undefined>;
  /** Keeps it for so long at most. Never throws. */
  set(key: string, answer: KeptAnswer, ttlMs: number): Promise<void>;
  /** Without it nothing is looked up or kept, and answers are read. */
  isUp(): boolean;
  /** Round trip in milliseconds. @throws where the store is out of reach */
  ping(): Promise<number>;
  start(): Promise<void>;
  stop(): Promise<void>;
}
