import type { ServiceName } from '../domain/ids.ts';
import type { Flags } from '../engine/ports/ports.ts';
import type { LastKnown } from './last-known-flags.ts';

/** How current the flags are. */
interface FlagSourceState {
  /** The source, printable; never contains a token. */
  readonly source: string;
  /** False while the evaluated flags may be outdated: never read, source unreachable, or not readable. */
  readonly fresh: boolean;
  readonly lastError?: string;
  /** The origin of the flags until their source has answered for the first time. Absent afterwards. */
  readonly from?: LastKnown['from'];
  /** Milliseconds since the last read; absent before the first. */
  readonly ageMs?: number;
}

/** Flags that are read from somewhere while the proxy runs. */
export interface FlagSource extends Flags {
  /**
   * Reads the flags for the first time. Before that every flag is unknown, and therefore off. For an unreachable server it waits 2 s and
   * then continues in the background. @throws Error if flag files cannot be used
   */
  start(): Promise<void>;
  stop(): Promise<void>;
  describe(): FlagSourceState;
  /** The names of all defined flags, including flags of other applications. */
  names(): readonly string[];
  /** The definitions of a service's flags, without the values of their constraints, because those name people. */
  shown(service: ServiceName): readonly object[];
}

/** Called with a message when the flags cannot be read, once for each new reason. */
type OnProblem = (message: string) => void;

/** Callbacks of a flag source. */
export interface FlagSourceListener {
  readonly onProblem?: OnProblem;
  /** The flags can be read again after a reported problem. */
  readonly onRecovery?: () => void;
}

/** Whether the flags can be read, and why not. Reports each change once. */
export class FlagHealth {
  readonly #listener: FlagSourceListener;
  #problem: string | undefined;
  #isTold = false;
  #readAtMs: number | undefined;
  #from: LastKnown['from'] | undefined;

  /** @param problem the state before the first read; it is not reported */
  constructor(listener: FlagSourceListener, problem: string) {
    this.#listener = listener;
    this.#problem = problem;
  }

  get problem(): string | undefined {
    return this.#problem;
  }

  set(problem: string | undefined): void {
    const isNew = problem !== this.#problem;
    this.#problem = problem;
    if (problem === undefined) {
      this.#readAtMs = performance.now();
      this.#from = undefined;
    }
    if (problem === undefined && this.#isTold) this.#listener.onRecovery?.();
    if (problem !== undefined && isNew) this.#listener.onProblem?.(problem);
    this.#isTold = problem !== undefined;
  }

  /** Uses the flags of an earlier run. */
  assume({ from, ageMs }: LastKnown): void {
    this.#from = from;
    if (ageMs !== undefined) this.#readAtMs = performance.now() - ageMs;
  }

  describe(): Omit<FlagSourceState, 'source'> {
    const [lastError, readAtMs, from] = [this.#problem, this.#readAtMs, this.#from];
    return {
      fresh: lastError === undefined,
      ...(from !== undefined && { from }),
      ...(lastError !== undefined && { lastError }),
      ...(readAtMs !== undefined && { ageMs: performance.now() - readAtMs }),
    };
  }
}
