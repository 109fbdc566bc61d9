import { askProxy, NoProxy, type ProxyAddress } from './operator-client.ts';

/** A run as the proxy shows it, as far as it is read here. */
export interface RunView {
  readonly run: number;
  readonly kind: string;
  readonly state: 'listing' | 'running' | 'stopped' | 'finished' | 'failed';
  readonly reason: string;
  readonly began_at: string;
  readonly lanes: number;
  readonly lanes_done: number;
  readonly brake: string | null;
  readonly survey: Readonly<Record<string, object>>;
  readonly services: Readonly<Record<string, Readonly<Record<string, number | string>>>>;
  readonly report: Readonly<Record<string, unknown>> | null;
}

export interface WatchOptions {
  readonly at: ProxyAddress;
  /** Lines for programs, also on a terminal. */
  readonly json: boolean;
}

const LOOK_EVERY_MS = 250;
const LINE_EVERY_MS = 2_000;
/** A proxy that is started again takes its runs up again. */
const PATIENCE_MS = 120_000;
const WIDTH = 30;
/** What the shell says of a program that Ctrl-C ended. */
const INTERRUPTED = 130;

/** Watches a run to its end: a bar with rate and time left on a terminal, JSON lines otherwise. Ctrl-C stops the run. */
export async function watchRun(id: number, { at, json }: WatchOptions): Promise<RunView> {
  const shown = process.stderr.isTTY && !json ? createBar() : createLines();
  const onInterrupt = (): void => {
    shown.end();
    process.exitCode = INTERRUPTED;
    void askProxy(at, `/v1/runs/${id}/stop`, { person: 'whoever watched it' }).catch(() => undefined);
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

async function lookAt(at: ProxyAddress, id: number): Promise<RunView> {
  const untilMs = performance.now() + PATIENCE_MS;
  for (;;) {
    try {
      return JSON.parse(await askProxy(at, `/v1/runs/${id}`)) as RunView;
    } catch (error) {
      if (!(error instanceof NoProxy) || performance.now() > untilMs) throw error;
      await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
    }
  }
}

interface Shown {
  show(view: RunView): void;
  end(): void;
}

/** Lanes of the last seconds, and how long the rest takes at that speed. */
class Speed {
  readonly #seen: { readonly atMs: number; readonly done: number }[] = [];

  add(done: number): void {
    this.#seen.push({ atMs: performance.now(), done });
    if (this.#seen.length > 40) this.#seen.shift();
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

function createBar(): Shown {
  const speed = new Speed();
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
      process.stderr.write(`\r\u001B[K${bar} ${notes.filter((note) => note !== '').join(', ')}`);
    },
    end: () => void process.stderr.write('\r\u001B[K'),
  };
}

function createLines(): Shown {
  const speed = new Speed();
  let lastMs = Number.NEGATIVE_INFINITY;
  return {
    show({ run, state, lanes, lanes_done, brake }) {
      speed.add(lanes_done);
      if (performance.now() - lastMs < LINE_EVERY_MS) return;
      lastMs = performance.now();
      const rate = Number(speed.lanesPerSecond.toFixed(1));
      const left = speed.secondsLeft(lanes - lanes_done) ?? null;
      console.log(
        JSON.stringify({ run, state, lanes, lanes_done, lanes_per_second: rate, seconds_left: left, brake }),
      );
    },
    end: () => undefined,
  };
}
