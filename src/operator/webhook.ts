import { createHmac } from 'node:crypto';
import { Agent, request } from 'undici';
import type { Clock } from '../shared/clock.ts';

export interface WebhookSettings {
  /** The address to post to. */
  readonly url: string;
  /** Signs every body (HMAC-SHA256), so that the receiver can verify the sender. Absent: nothing is signed. */
  readonly key?: string;
  readonly clock: Clock;
}

const TIMEOUT_MS = 5_000;

/** Posts JSON. With a key the body is signed together with its time, so that it cannot be replayed later. */
export class Webhook {
  readonly #settings: WebhookSettings;
  readonly #agent = new Agent({ connections: 1, headersTimeout: TIMEOUT_MS, bodyTimeout: TIMEOUT_MS });

  constructor(settings: WebhookSettings) {
    this.#settings = settings;
  }

  /** The failure, in words without the address. Undefined on success. */
  async post(body: string): Promise<string | undefined> {
    const { url } = this.#settings;
    try {
      const response = await request(url, {
        method: 'POST',
        dispatcher: this.#agent,
        headers: { 'content-type': 'application/json', ...this.#signature(body) },
        body,
        signal: AbortSignal.timeout(TIMEOUT_MS),
      });
      await response.body.dump();
      return response.statusCode < 300 ? undefined : `it answered ${response.statusCode}`;
    } catch {
      // An address may hold a secret, so the message of undici is not shown.
      return 'it could not be reached';
    }
  }

  #signature(body: string): Record<string, string> {
    const { key, clock } = this.#settings;
    if (key === undefined) return {};
    const timestamp = String(Math.floor(clock.wallMs() / 1_000));
    const signature = createHmac('sha256', key).update(`${timestamp}.${body}`).digest('hex');
    return { 'x-crossfade-timestamp': timestamp, 'x-crossfade-signature': `sha256=${signature}` };
  }

  close(): Promise<void> {
    return this.#agent.close();
  }
}
