import type { RunResult } from '../operator/run-result-words.ts';
import { askProxy, NoProxy, type ProxyAddress } from './operator-client.ts';
import { createRunProgress } from './run-progress.ts';

/** A run as the proxy returns it: the members that the command line uses. */
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
  /** Set for a finished reconciliation. */
  readonly result?: RunResult | null;
}

export interface WatchOptions {
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
export function isLeftOut({ survey }: Pick<RunView, 'survey'>): boolean {
  return Object.values(survey).some((found) => 'not_listed' in found);
}

/** True if no service has a lane of the owner, perhaps because the owner is misspelled. Prints a message then. */
export function isOfNobody({ survey }: Pick<RunView, 'survey'>, owner: string | undefined): boolean {
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
export async function watchRun(id: number, { at, person, json }: WatchOptions): Promise<RunView> {
  const shown = createRunProgress({
    json,
    screen: process.stderr,
    lines: process.stdout,
  });
  const onInterrupt = (): void => {
    shown.end();
    process.exitCode = INTERRUPTED;
    const stop = { person, reason: 'stopped with Ctrl-C on the command line' };
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
