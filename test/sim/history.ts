import type { LaneKey, OperationId, ServiceName } from '../../src/domain/ids.ts';
import type { Backend } from '../../src/domain/backend.ts';
import type { Owner } from './scheduler.ts';

/** One request of an agent, and what became of it. */
export interface Call {
  readonly number: number;
  readonly service: ServiceName;
  readonly owner: string;
  readonly lane: LaneKey;
  readonly action: string;
  readonly kind: 'write' | 'read';
  /** The content that the write stores is named by its number. */
  readonly stores: boolean;
  /** For a write that takes the place of others, or deletes: the key of what it may concern, `all` or `nothing`. */
  readonly deletes: string;
  readonly body: Buffer;
  startMs: number;
  /** When it was sent the last time. */
  sentMs: number;
  endMs: number;
  /** `refused`: in the service's own words, or the proxy's before anything was sent. */
  status: 'open' | 'acknowledged' | 'refused' | 'failed' | 'silent';
  reply: string;
  /** Times that its agent has sent it, waiting for no reply any more to the times before. */
  attempts: number;
  /** The last of these that a proxy took up. */
  arrived: number;
  /** Its agent has a reply that does not say whether it took effect, and asks again. */
  isDoubted: boolean;
  /** Its reply was taken for a repeat, and has not reached the agent. */
  isTaken: boolean;
  /** The last of these whose reply its agent has. */
  answered: Attempt | undefined;
  /** Times that its agent meant it: an agent may say the same twice. */
  meant: number;
  /** The first attempt of the last of these times. */
  meantFrom: number;
  /** Attempts that may take effect although an equal one has. */
  readonly suspected: Set<number>;
  /** Attempts that were spilled. */
  readonly spilled: Set<number>;
  operation?: OperationId;
  backend?: Backend;
  /** Whether dual writes were in effect where the attempt arrived that was answered, or else the last. */
  isCovered: boolean;
}

/** One of the times that a request was sent. */
export interface Attempt {
  readonly call: Call;
  readonly number: number;
  /** The process that took it up. */
  readonly owner: Owner;
  /** Whether dual writes were in effect when it did. */
  readonly isCovered: boolean;
}

/** Everything that agents asked for, in order. */
export class History {
  readonly calls: Call[] = [];
  readonly #byOperation = new Map<OperationId, Attempt>();

  add(call: Call): void {
    this.calls.push(call);
  }

  name(attempt: Attempt, operation: OperationId): void {
    attempt.call.operation = operation;
    this.#byOperation.set(operation, attempt);
  }

  byOperation(operation: OperationId): Attempt | undefined {
    return this.#byOperation.get(operation);
  }

  writesOf(lane: LaneKey): Call[] {
    return this.calls.filter((call) => call.lane === lane && call.kind === 'write');
  }

  byNumber(number: number): Call | undefined {
    return this.calls.find((call) => call.number === number);
  }
}
