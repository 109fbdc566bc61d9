import { UnleashEvents } from 'unleash-client';
import { messageOf } from '../domain/errors.ts';
import { createDefinitionStore } from './definition-store.ts';
import { createEvaluation } from './evaluation.ts';
import { shownFlags } from './shown-flags.ts';
import { FlagHealth, type FlagSource, type FlagSourceListener } from './flag-source.ts';
import { createUnleashPoll, type PollSettings } from './unleash-poll.ts';

export interface UnleashFlagSettings extends PollSettings, FlagSourceListener {}

const FIRST_ANSWER_MS = 2_000;
/** A request of the SDK's that is under way at the end holds the process up no longer than this. */
const METRICS_TIMEOUT_MS = 2_000;

/**
 * Flags of an Unleash server, evaluated by its SDK. What was last known stays while the server cannot be read.
 * The asking is ours: the SDK's own stops for good at a 401 or 403, slows down to 165 s after errors of the server, and stays
 * slow for a while when they are over. A kill switch has to arrive within one interval.
 */
export function createUnleashFlags(settings: UnleashFlagSettings): FlagSource {
  const store = createDefinitionStore();
  const { flags, unleash } = createEvaluation(store, {
    url: settings.url,
    appName: settings.appName,
    customHeaders: { Authorization: settings.apiToken },
    timeout: METRICS_TIMEOUT_MS,
  });
  // Usage metrics are for the people who look at Unleash: losing them is nothing to report. Unheard, the SDK prints them.
  unleash.on(UnleashEvents.Error, () => undefined);
  const poll = createUnleashPoll(settings);
  const health = new FlagHealth(settings, 'not asked yet');
  const asking = createAsking(settings.refreshIntervalMs, async (signal) => {
    try {
      const definitions = await poll(signal);
      health.set(undefined);
      if (definitions !== undefined) store.replace(definitions);
    } catch (cause) {
      if (!signal.aborted) health.set(messageOf(cause));
    }
  });
  return {
    ...flags,
    async start() {
      void unleash.start().catch(() => undefined);
      const isAnswered = await within(FIRST_ANSWER_MS, asking.start());
      if (!isAnswered) health.set(`no answer within ${FIRST_ANSWER_MS} ms`);
    },
    async stop() {
      await asking.stop();
      unleash.destroy();
    },
    describe: () => ({ source: `Unleash at ${settings.url}`, ...health.describe() }),
    names: () => store.getToggles().map(({ name }) => name),
    shown: (service) => shownFlags(store, service),
  };
}

interface Asking {
  /** Resolves with the first answer. */
  start(): Promise<void>;
  stop(): Promise<void>;
}

/** Asks, waits, asks again; one question at a time. */
function createAsking(intervalMs: number, ask: (signal: AbortSignal) => Promise<void>): Asking {
  const abort = new AbortController();
  let running = Promise.resolve();
  let timer: NodeJS.Timeout | undefined;
  const again = (): Promise<void> => {
    running = ask(abort.signal).finally(() => {
      if (!abort.signal.aborted) timer = setTimeout(() => void again(), intervalMs).unref();
    });
    return running;
  };
  return {
    start: again,
    async stop() {
      abort.abort();
      clearTimeout(timer);
      await running;
    },
  };
}

async function within(ms: number, work: Promise<void>): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(false), ms);
  });
  const isDone = await Promise.race([work.then(() => true), late]);
  clearTimeout(timer);
  return isDone;
}
