import { createHmac } from 'node:crypto';
import { Agent, request } from 'undici';
import type { Clock } from '../migration/ports.ts';

export interface WebhookSettings {
  /** Where it is posted. */
  readonly url: string;
  /** Signs everything (HMAC-SHA256), so that the receiver can tell ours from others'. */
  readonly key: string;
  readonly clock: Clock;
}

const TIMEOUT_MS = 5_000;

/** Posts JSON, signed with its time, so that what is old cannot be sent again by others. */
export class SignedWebhook {
  readonly #settings: WebhookSettings;
  readonly #agent = new Agent({ connections: 1, headersTimeout: TIMEOUT_MS, bodyTimeout: TIMEOUT_MS });

  constructor(settings: WebhookSettings) {
    this.#settings = settings;
  }

  /** What went wrong, in words without the address; undefined where it was taken. */
  async post(body: string): Promise<string | undefined> {
    const { url, key, clock } = this.#settings;
    const timestamp = String(Math.floor(clock.wallMs() / 1_000));
    const signature = createHmac('sha256', key).update(`${timestamp}.${body}`).digest('hex');
    try {
      const response = await request(url, {
        method: 'POST',
        dispatcher: this.#agent,
        headers: {
          'content-type': 'application/json',
          'x-crossfade-timestamp': timestamp,
          'x-crossfade-signature': `sha256=${signature}`,
        },
        body,
        signal: AbortSignal.timeout(TIMEOUT_MS),
      });
      await response.body.dump();
      return response.statusCode < 300 ? undefined : `it answered ${response.statusCode}`;
    } catch {
      // An address may hold a secret: what undici says of it is not repeated.
      return 'it could not be reached';
    }
  }

  close(): Promise<void> {
    return this.#agent.close();
  }
}
