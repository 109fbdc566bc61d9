/** How a request ended: `success`, or the code of the error it was answered with. */
export type Outcome = string;

/** What was read of a request that matters to whoever watches. */
export interface RequestFacts {
  /** Undefined where the message could not be read that far. */
  readonly action: string | undefined;
  /** W3C trace context of the caller, as it came. */
  readonly traceparent?: string | undefined;
}

export interface FinishedRequest extends RequestFacts {
  readonly outcome: Outcome;
  /** Instants of `performance.now()`. */
  readonly startedMs: number;
  readonly endedMs: number;
}

/** Is told of every request. */
export interface Observer {
  began(): void;
  ended(request: FinishedRequest): void;
}
