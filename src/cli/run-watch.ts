import type { ShownRun } from '../operator/api/runs.ts';
import { callProxy, parsed, NoProxy, type ProxyAddress } from './operator-client.ts';

interface WatchOptions {
  readonly at: ProxyAddress;
  /** Who is responsible for a stop; absent if the token names a person. */
  readonly person: string | undefined;
  /** Print JSON lines, also on a terminal. */
  readonly json: boolean;
}

const LOOK_EVERY_MS = 250;
/** A restarted proxy continues its runs, so wait for it this long. */
const PATIENCE_MS = 120_000;
/** The shell's exit code for a program that Ctrl-C ended. */
const INTERRUPTED = 130;

/** True if a service was left out because its store could not be read. */
export function isLeftOut({ survey }: Pick<ShownRun, 'survey'>): boolean {
  return Object.values(survey).some((found) => 'not_listed' in found);
}

/** True if no service has a lane of the owner, perhaps because the owner is misspelled. Prints a message then. */
export function isOfNobody({ survey }: Pick<ShownRun, 'survey'>, owner: string | undefined): boolean {
  const found = Object.values(survey) as { readonly lanes?: number }[];
  if (owner === undefined || found.length === 0 || found.some(({ lanes }) => lanes !== 0)) return false;
  console.error(
    `crossfade: ${Object.keys(survey).join(', ')}: unknown owner "${owner}": crossfade lanes list SERVICE shows the known owners`,
  );
  return true;
}

/**
 * Watches a run to its end: JSON lines with --json, on a terminal a bar with rate and time left, otherwise text lines on stderr. Ctrl-C
 * stops the run.
 */
export async function watchRun(id: number, { at, person, json }: WatchOptions): Promise<ShownRun> {
  const shown = createRunProgress({
    json,
    screen: process.stderr,
    lines: process.stdout,
  });
  const onInterrupt = (): void => {
    shown.end();
    process.exitCode = INTERRUPTED;
    const stop = { person, reason: 'stopped with Ctrl-C on the command line' };
    const params = { run: String(id) };
    void callProxy(at, 'stopRun', { params, body: stop }).catch(() => undefined);
  };
  process.once('SIGINT', onInterrupt);
  try {
    for (;;) {
      const view = await lookAt(at, id);
      shown.show(view);
      if (view.state !== 'listing' && view.state !== 'running') return view;
      await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
    }
  } finally {
    shown.end();
    process.off('SIGINT', onInterrupt);
  }
}

async function lookAt(at: ProxyAddress, id: number): Promise<ShownRun> {
  const untilMs = performance.now() + PATIENCE_MS;
  for (;;) {
    try {
      return parsed(await callProxy(at, 'showRun', { params: { run: String(id) } }));
    } catch (error) {
      if (!(error instanceof NoProxy) || performance.now() > untilMs) throw error;
      await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
    }
  }
}

const JSON_EVERY_MS = 2_000;
const TEXT_EVERY_MS = 10_000;
const WIDTH = 30;
/** The speed is computed from this many samples, which is ten seconds. */
const LOOKS = 40;

/** The stream that is printed to. */
interface Screen {
  /** True on a terminal. */
  readonly isTTY?: boolean;
  write(text: string): unknown;
}

interface RunProgressParts {
  /** Print JSON lines, also on a terminal. */
  readonly json: boolean;
  /** The stream for the progress bar or text lines. */
  readonly screen: Screen;
  /** The stream for JSON lines. */
  readonly lines: Screen;
  /** Milliseconds, never backwards. @defaultValue performance.now */
  readonly now?: () => number;
}

export type SeenRun = Pick<ShownRun, 'run' | 'state' | 'lanes' | 'lanes_done' | 'brake'>;

interface RunProgress {
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
