import type { RunView } from './run-watch.ts';

const LINE_EVERY_MS = 2_000;
const WIDTH = 30;
/** Looks of which the speed is made: ten seconds. */
const LOOKS = 40;

/** What is printed on. */
export interface Screen {
  /** Whether a person watches. */
  readonly isTTY?: boolean;
  write(text: string): unknown;
}

export interface RunProgressParts {
  /** Lines for programs, also on a terminal. */
  readonly json: boolean;
  /** Where a bar stands. */
  readonly screen: Screen;
  /** Where lines go. */
  readonly lines: Screen;
  /** Milliseconds, never backwards. @defaultValue performance.now */
  readonly now?: () => number;
}

export type SeenRun = Pick<RunView, 'run' | 'state' | 'lanes' | 'lanes_done' | 'brake'>;

export interface RunProgress {
  show(view: SeenRun): void;
  end(): void;
}

/** How far a run is: on a terminal a bar with its rate and the time left, otherwise the same as JSON lines. */
export function createRunProgress(parts: RunProgressParts): RunProgress {
  const { json, screen, lines, now = () => performance.now() } = parts;
  return screen.isTTY === true && !json ? createBar(screen, now) : createLines(lines, now);
}

/** Lanes of the last seconds, and how long the rest takes at that speed. */
class Speed {
  readonly #now: () => number;
  readonly #seen: { readonly atMs: number; readonly done: number }[] = [];

  constructor(now: () => number) {
    this.#now = now;
  }

  add(done: number): void {
    this.#seen.push({ atMs: this.#now(), done });
    if (this.#seen.length > LOOKS) this.#seen.shift();
  }

  get lanesPerSecond(): number {
    const [first, last] = [this.#seen[0], this.#seen.at(-1)];
    if (first === undefined || last === undefined || last.atMs === first.atMs) return 0;
    return ((last.done - first.done) * 1_000) / (last.atMs - first.atMs);
  }

  secondsLeft(lanes: number): number | undefined {
    return this.lanesPerSecond === 0 ? undefined : Math.ceil(lanes / this.lanesPerSecond);
  }
}

function createBar(screen: Screen, now: () => number): RunProgress {
  const speed = new Speed(now);
  return {
    show({ state, lanes, lanes_done: done, brake }) {
      speed.add(done);
      const filled = Math.round((WIDTH * done) / Math.max(1, lanes));
      const bar = '█'.repeat(filled).padEnd(WIDTH, '░');
      const left = speed.secondsLeft(lanes - done);
      const notes = [
        state === 'listing' ? 'looking at what there is' : `${done}/${lanes} lanes`,
        `${speed.lanesPerSecond.toFixed(0)}/s`,
        left === undefined ? '' : `${left} s left`,
        brake === null ? '' : `slowed: ${brake.replaceAll('_', ' ')}`,
      ];
      screen.write(`\r\u001B[K${bar} ${notes.filter((note) => note !== '').join(', ')}`);
    },
    end: () => void screen.write('\r\u001B[K'),
  };
}

function createLines(lines: Screen, now: () => number): RunProgress {
  const speed = new Speed(now);
  let lastMs = Number.NEGATIVE_INFINITY;
  return {
    show({ run, state, lanes: all, lanes_done: done, brake }) {
      speed.add(done);
      if (now() - lastMs < LINE_EVERY_MS) return;
      lastMs = now();
      const rate = Number(speed.lanesPerSecond.toFixed(1));
      const left = speed.secondsLeft(all - done) ?? null;
      const line = {
        run,
        state,
        lanes: all,
        lanes_done: done,
        lanes_per_second: rate,
        seconds_left: left,
        brake,
      };
      lines.write(`${JSON.stringify(line)}\n`);
    },
    end: () => undefined,
  };
}
