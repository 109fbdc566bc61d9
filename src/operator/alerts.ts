import type { Alert, Alerts } from '../engine/guard/guard-ports.ts';
import { chatBody, type ChatMessage, type WebhookFormat } from './chat-message.ts';
import { countedWords, notMovedWords } from './words.ts';
import { Webhook, type WebhookSettings } from './webhook.ts';
import { backoffMs } from '../shared/backoff.ts';

interface AlertSettings extends WebhookSettings {
  /** @defaultValue signed */
  readonly format?: WebhookFormat;
  /** Address of the desk. Absent: messages have no link. */
  readonly deskUrl?: string;
  /** Called with a message, without the alert's content, when an alert is dropped. */
  readonly onProblem: (problem: string) => void;
  /** First pause before an alert is sent again; doubled each time. @defaultValue 1000 */
  readonly retryFirstMs?: number;
}

/** Most alerts that wait. When there are more, the oldest are dropped. */
const MOST_WAITING = 100;
const TRIES = 8;

/** Posts alerts one after the other. Each is tried up to eight times. */
export class WebhookAlerts implements Alerts {
  readonly #settings: AlertSettings;
  readonly #webhook: Webhook;
  readonly #waiting: Alert[] = [];
  readonly #stopped = new AbortController();
  #sending: Promise<void> | undefined;

  constructor(settings: AlertSettings) {
    this.#settings = settings;
    this.#webhook = new Webhook(settings);
  }

  send(alert: Alert): void {
    const oldest = this.#waiting.length >= MOST_WAITING ? this.#waiting.shift() : undefined;
    if (oldest !== undefined) this.#givenUp(oldest, `${MOST_WAITING} others wait`);
    this.#waiting.push(alert);
    this.#sending ??= this.#sendAll().finally(() => (this.#sending = undefined));
  }

  /**
   * Drops what could not be sent, because alerts wait only in memory. The latches keep each trip, and the audit keeps each
   * change.
   */
  async stop(): Promise<void> {
    this.#stopped.abort();
    await this.#sending;
    await this.#webhook.close();
  }

  async #sendAll(): Promise<void> {
    for (let alert = this.#waiting.shift(); alert !== undefined; alert = this.#waiting.shift()) {
      const problem = await this.#deliver(alert);
      if (problem !== undefined) this.#givenUp(alert, problem);
    }
  }

  #givenUp({ kind, service, finding: { trigger } }: Alert, problem: string): void {
    this.#settings.onProblem(`the alert "${kind}" of ${service} (${trigger}) was dropped: ${problem}`);
  }

  #bodyOf(alert: Alert): string {
    const { format = 'signed', deskUrl } = this.#settings;
    if (format === 'signed') return JSON.stringify(printed(alert));
    const link =
      deskUrl === undefined ? {} : { link: { label: 'Open the guard page', url: `${deskUrl}/guard` } };
    return chatBody(format, { ...messageOf(alert), ...link });
  }

  /** The last failure, or undefined. */
  async #deliver(alert: Alert): Promise<string | undefined> {
    const { clock, retryFirstMs = 1_000 } = this.#settings;
    const body = this.#bodyOf(alert);
    let problem: string | undefined = 'the proxy stopped';
    for (let tried = 0; tried < TRIES && !this.#stopped.signal.aborted; tried += 1) {
      if (tried > 0) await clock.sleep(backoffMs(tried, { firstMs: retryFirstMs }), this.#stopped.signal);
      problem = await this.#webhook.post(body);
      if (problem === undefined) return undefined;
    }
    return problem;
  }
}

const TITLES: Readonly<Record<Alert['kind'], string>> = {
  tripped: 'reads moved back to legacy',
  released: 'latch released',
  finding: 'the guard found something',
};

/** An alert as a chat message: what happened, where, why, and what to do. */
function messageOf({ kind, service, finding, atMs, latch, flippedLanes }: Alert): ChatMessage {
  const { trigger, numbers, action, detail } = finding;
  const until = latch === undefined ? undefined : new Date(latch.coolDownUntilMs).toISOString();
  const stays = notMovedWords(flippedLanes);
  const release = `After ${until ?? ''} release it: crossfade guard release ${service} --person NAME --reason TEXT`;
  return {
    title: `Crossfade: ${service}: ${TITLES[kind]}`,
    lines: [
      `${trigger.replaceAll('_', ' ')}: ${countedWords(trigger, numbers)}`,
      ...(stays === undefined ? [] : [stays]),
      ...(kind === 'tripped' && until !== undefined ? [release] : []),
    ],
    facts: [
      ['Service', service],
      ...(action === undefined ? [] : [['Action', action] as const]),
      ...(detail === undefined ? [] : [['Window or source', detail] as const]),
      ['Steps', finding.steps.join(', ').replaceAll('_', ' ')],
      ['At', new Date(atMs).toISOString()],
    ],
  };
}

/** An alert as it is posted and as the routes show it. */
function printed({ kind, service, finding, atMs, latch, flippedLanes }: Alert): object {
  return {
    kind,
    service,
    at: new Date(atMs).toISOString(),
    trigger: finding.trigger,
    steps: finding.steps,
    numbers: finding.numbers,
    ...(finding.action !== undefined && { action: finding.action }),
    ...(finding.detail !== undefined && { detail: finding.detail }),
    ...(latch !== undefined && {
      latch: latch.id,
      cool_down_until: new Date(latch.coolDownUntilMs).toISOString(),
    }),
    ...(flippedLanes !== undefined && { flipped_lanes: flippedLanes }),
  };
}

/** Used when no address is configured. */
export const NO_ALERTS: Alerts & { stop(): Promise<void> } = {
  send: () => undefined,
  stop: async () => undefined,
};
