/** The result of a request: `success`, or the code of its error. */
export type Outcome = string;

/** The facts about a request for metrics and traces. */
export interface RequestFacts {
  /** Undefined if the action could not be read. */
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

/** Called for every request. */
export interface Observer {
  began(): void;
  ended(request: FinishedRequest): void;
}
