import type { RunView } from './run-watch.ts';

const JSON_EVERY_MS = 2_000;
const TEXT_EVERY_MS = 10_000;
const WIDTH = 30;
/** The speed is computed from this many samples, which is ten seconds. */
const LOOKS = 40;

/** The stream that is printed to. */
export interface Screen {
  /** True on a terminal. */
  readonly isTTY?: boolean;
  write(text: string): unknown;
}

export interface RunProgressParts {
  /** Print JSON lines, also on a terminal. */
  readonly json: boolean;
  /** The stream for the progress bar or text lines. */
  readonly screen: Screen;
  /** The stream for JSON lines. */
  readonly lines: Screen;
  /** Milliseconds, never backwards. @defaultValue performance.now */
  readonly now?: () => number;
}

export type SeenRun = Pick<RunView, 'run' | 'state' | 'lanes' | 'lanes_done' | 'brake'>;

export interface RunProgress {
  show(view: SeenRun): void;
  end(): void;
}

/** The progress of a run: with `json` JSON lines, on a terminal a bar with its rate and the time left, otherwise text lines. */
export function createRunProgress(parts: RunProgressParts): RunProgress {
  const { json, screen, lines, now = () => performance.now() } = parts;
  if (json) return createLines(lines, now, { lineOf: jsonLine, everyMs: JSON_EVERY_MS });
  return screen.isTTY === true
    ? createBar(screen, now)
    : createLines(screen, now, { lineOf: textLine, everyMs: TEXT_EVERY_MS });
}

/** Lanes per second over the last ten seconds, and the time left at that speed. */
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
    show(view) {
      const { lanes, lanes_done: done } = view;
      speed.add(done);
      const filled = Math.round((WIDTH * done) / Math.max(1, lanes));
      const bar = '█'.repeat(filled).padEnd(WIDTH, '░');
      screen.write(`\r\u001B[K${bar} ${notesOf(view, speed)}`);
    },
    end: () => void screen.write('\r\u001B[K'),
  };
}

interface LineStyle {
  readonly lineOf: (view: SeenRun, speed: Speed) => string;
  readonly everyMs: number;
}

function createLines(lines: Screen, now: () => number, { lineOf, everyMs }: LineStyle): RunProgress {
  const speed = new Speed(now);
  let lastMs = Number.NEGATIVE_INFINITY;
  return {
    show(view) {
      speed.add(view.lanes_done);
      if (now() - lastMs < everyMs) return;
      lastMs = now();
      lines.write(`${lineOf(view, speed)}\n`);
    },
    end: () => undefined,
  };
}

function jsonLine({ run, state, lanes, lanes_done: done, brake }: SeenRun, speed: Speed): string {
  const rate = Number(speed.lanesPerSecond.toFixed(1));
  const left = speed.secondsLeft(lanes - done) ?? null;
  return JSON.stringify({
    run,
    state,
    lanes,
    lanes_done: done,
    lanes_per_second: rate,
    seconds_left: left,
    brake,
  });
}

function textLine(view: SeenRun, speed: Speed): string {
  return `run ${view.run}: ${notesOf(view, speed)}`;
}

/** The text next to the bar, and the whole of a text line. */
function notesOf({ state, lanes, lanes_done: done, brake }: SeenRun, speed: Speed): string {
  const left = speed.secondsLeft(lanes - done);
  const notes = [
    state === 'listing' ? 'listing lanes' : `${done}/${lanes} lanes`,
    `${speed.lanesPerSecond.toFixed(0)}/s`,
    left === undefined ? '' : `${left} s left`,
    brake === null ? '' : `slowed: ${brake.replaceAll('_', ' ')}`,
  ];
  return notes.filter((note) => note !== '').join(', ');
}
