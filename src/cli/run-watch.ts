import { askProxy, NoProxy, type ProxyAddress } from './operator-client.ts';
import { createRunProgress } from './run-progress.ts';

/** A run as the proxy shows it, as far as it is read here. */
export interface RunView {
  readonly run: number;
  readonly kind: string;
  readonly state: 'listing' | 'running' | 'stopped' | 'finished' | 'failed';
  readonly reason: string;
  readonly began_at: string;
  readonly finished_at: string | null;
  readonly request?: {
    readonly services?: readonly string[];
    readonly owner?: string;
    readonly scope?: string;
    readonly of?: number;
    readonly scheduled?: string;
    readonly person?: string;
    readonly reason?: string;
  };
  readonly lanes: number;
  readonly lanes_done: number;
  readonly brake: string | null;
  readonly survey: Readonly<Record<string, object>>;
  readonly services: Readonly<Record<string, Readonly<Record<string, number | string>>>>;
  readonly report: Readonly<Record<string, unknown>> | null;
  /** Of a finished reconciliation. */
  readonly result?: {
    readonly differences: number;
    readonly lanes: number;
    readonly unsettled_lanes: number;
  } | null;
}

export interface WatchOptions {
  readonly at: ProxyAddress;
  /** Who answers for a stop; absent where the token says it. */
  readonly person: string | undefined;
  /** Lines for programs, also on a terminal. */
  readonly json: boolean;
}

const LOOK_EVERY_MS = 250;
/** A proxy that is started again takes its runs up again. */
const PATIENCE_MS = 120_000;
/** What the shell says of a program that Ctrl-C ended. */
const INTERRUPTED = 130;

/** Whether a service's store could not be read: nothing was done about it. */
export function isLeftOut({ survey }: Pick<RunView, 'survey'>): boolean {
  return Object.values(survey).some((found) => 'not_listed' in found);
}

/** Whoever names an owner that is nowhere has misspelled it, or named the wrong service: says so. */
export function isOfNobody({ survey }: Pick<RunView, 'survey'>, owner: string | undefined): boolean {
  const found = Object.values(survey) as { readonly lanes?: number }[];
  if (owner === undefined || found.length === 0 || found.some(({ lanes }) => lanes !== 0)) return false;
  console.error(
    `crossfade: ${Object.keys(survey).join(', ')}: no lane of "${owner}" is known: crossfade lanes list SERVICE finds them`,
  );
  return true;
}

/** Watches a run to its end: a bar with rate and time left on a terminal, JSON lines with --json, else lines of text on stderr. Ctrl-C stops the run. */
export async function watchRun(id: number, { at, person, json }: WatchOptions): Promise<RunView> {
  const shown = createRunProgress({
    json,
    screen: process.stderr,
    lines: process.stdout,
  });
  const onInterrupt = (): void => {
    shown.end();
    process.exitCode = INTERRUPTED;
    const stop = { person, reason: 'Ctrl-C where it was watched' };
    void askProxy(at, `/v1/runs/${id}/stop`, stop).catch(() => undefined);
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
