import type { ServiceName } from '../domain/ids.ts';
import type { Flags } from '../engine/ports/ports.ts';
import type { LastKnown } from './last-known-flags.ts';

/** How current the flags are. */
interface FlagSourceState {
  /** Where they come from, printable: never a token. */
  readonly source: string;
  /** False while what is evaluated may be older than what the source says: never read, unreachable, not readable. */
  readonly fresh: boolean;
  readonly lastError?: string;
  /** Where the flags of this start come from while their source has not answered yet. Absent once it has. */
  readonly from?: LastKnown['from'];
  /** Since they were last read, milliseconds; absent while they never were. */
  readonly ageMs?: number;
}

/** Flags that are read from somewhere while the proxy runs. */
export interface FlagSource extends Flags {
  /**
   * Reads the flags for the first time. Before it every flag is unknown, and so off.
   * @throws Error from files that cannot be used; a server that cannot be reached is waited for (2 s), and asked on
   */
  start(): Promise<void>;
  stop(): Promise<void>;
  describe(): FlagSourceState;
  /** Of every flag that is defined, also of others' flags. */
  names(): readonly string[];
  /** The definitions that decide about a service, without the values of their constraints: those name people. */
  shown(service: ServiceName): readonly object[];
}

/** Told in words about flags that cannot be read, once for each new reason. */
type OnProblem = (message: string) => void;

/** What a source tells of itself. */
export interface FlagSourceListener {
  readonly onProblem?: OnProblem;
  /** The flags can be read again, after a problem that was told. */
  readonly onRecovery?: () => void;
}

/** Whether the flags can be read, and if not, why; each change is told once. */
export class FlagHealth {
  readonly #listener: FlagSourceListener;
  #problem: string | undefined;
  #isTold = false;
  #readAtMs: number | undefined;
  #from: LastKnown['from'] | undefined;

  /** @param problem while nothing was read yet: not told */
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

  /** The flags of an earlier run are in effect. */
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
