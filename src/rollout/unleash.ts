import { UnleashEvents } from 'unleash-client';
import { messageOf } from '../domain/errors.ts';
import { createDefinitionStore, type DefinitionStore, shownFlags } from './definition-store.ts';
import { createEvaluation } from './evaluation.ts';
import type { LastKnownFlags } from './last-known-flags.ts';
import { FlagHealth, type FlagSource, type FlagSourceListener } from './flag-source.ts';
import { createUnleashPoll, type PollSettings } from './unleash-poll.ts';

interface UnleashFlagSettings extends PollSettings, FlagSourceListener {
  /** For a start while the server is unreachable. @defaultValue every flag is unknown until the server answers */
  readonly lastKnown?: LastKnownFlags;
}

const FIRST_ANSWER_MS = 2_000;
/** At the end a request of the SDK delays the process by at most this time. */
const METRICS_TIMEOUT_MS = 2_000;

/**
 * Flags of an Unleash server, evaluated by its SDK. The last known flags stay active while the server cannot be read. We poll
 * ourselves, because a kill switch must arrive within one interval. The SDK's polling stops forever at a 401 or 403. After server
 * errors it slows down to 165 s, and stays slow for a while after they end.
 */
export function createUnleashFlags(settings: UnleashFlagSettings): FlagSource {
  const store = createDefinitionStore();
  const { flags, unleash } = createEvaluation(store, {
    url: settings.url,
    appName: settings.appName,
    customHeaders: { Authorization: settings.apiToken },
    timeout: METRICS_TIMEOUT_MS,
  });
  // Lost usage metrics are not worth a report. Without a listener the SDK prints the error.
  unleash.on(UnleashEvents.Error, () => undefined);
  const poll = createUnleashPoll(settings);
  const health = new FlagHealth(settings, 'not read yet');
  const asking = createAsking(settings.refreshIntervalMs, async (signal) => {
    try {
      const polled = await poll(signal);
      health.set(undefined);
      if (polled !== undefined) store.replace(polled.definitions);
      settings.lastKnown?.keep(polled?.text);
    } catch (cause) {
      if (signal.aborted) return;
      health.set(messageOf(cause));
      await goOn();
    }
  });
  const goOn = (): Promise<void> => assumeLastKnown(settings.lastKnown, store, health);
  return {
    ...flags,
    async start() {
      void unleash.start().catch(() => undefined);
      const isAnswered = await within(FIRST_ANSWER_MS, asking.start());
      if (isAnswered) return;
      health.set(`no answer within ${FIRST_ANSWER_MS} ms`);
      await goOn();
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

/** Uses the flags of the last run until the server answers. Tries again while the journal is away. */
async function assumeLastKnown(
  lastKnown: LastKnownFlags | undefined,
  store: DefinitionStore,
  health: FlagHealth,
): Promise<void> {
  if (store.version() > 0) return;
  const last = await lastKnown?.find().catch(() => undefined);
  // The server may have answered in the meantime.
  if (last === undefined || store.version() > 0) return;
  health.assume(last);
  store.replace(last.definitions);
}

interface Asking {
  /** Resolves with the first answer. */
  start(): Promise<void>;
  stop(): Promise<void>;
}

/** Polls at an interval, one request at a time. */
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
