import { setTimeout as pause } from 'node:timers/promises';
import { DelegateBackoff, handleType, type IRetryBackoffContext, retry } from 'cockatiel';
import { Agent, request } from 'undici';
import { messageOf } from '../../domain/errors.ts';
import { isJsonObject } from '../../domain/json.ts';
import type { Space, Vector } from '../vectors/vector-store.ts';
import type { EmbeddingSettings } from '../settings.ts';
import { checkedVectors, type EmbeddingProvider, ProviderError, TextRefusedError } from './provider.ts';
import { backoffMs } from '../../shared/backoff.ts';

type OpenAiSettings = EmbeddingSettings['openai'];

// If a server requests a longer wait than the longest, the batch fails and is repeated later.
const RETRY = { firstMs: 250, longestMs: 30_000 };

/** A temporary failure; the server may have sent a wait time. */
class AgainError extends ProviderError {
  readonly afterMs: number | undefined;
  constructor(message: string, afterMs?: number) {
    super(message);
    this.afterMs = afterMs;
  }
}

/** Any endpoint that speaks OpenAI's `POST /embeddings`: OpenAI, Azure, vLLM, Ollama, text-embeddings-inference. */
export function createOpenAiProvider(settings: OpenAiSettings, model = settings.model): EmbeddingProvider {
  const { url = '', apiKey, dimension, timeoutMs, maxTries } = settings;
  const space: Space = { model, dimension };
  const address = `${url.replace(/\/$/, '')}/embeddings`;
  const agent = new Agent({ headersTimeout: timeoutMs, bodyTimeout: timeoutMs, connectTimeout: timeoutMs });
  const turns = createTurns(settings.requestsPerMinute);
  const again = retry(handleType(AgainError), { maxAttempts: maxTries - 1, backoff: waits() });
  const headers = {
    'content-type': 'application/json',
    ...(apiKey === undefined ? {} : { authorization: `Bearer ${apiKey}` }),
  };

  async function ask(texts: readonly string[], signal: AbortSignal): Promise<unknown> {
    await turns.next(signal);
    const body = JSON.stringify({
      model,
      input: texts,
      encoding_format: 'float',
      ...(settings.sendDimension ? { dimensions: dimension } : {}),
    });
    const answer = await request(address, {
      method: 'POST',
      headers,
      body,
      dispatcher: agent,
      signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
    });
    if (answer.statusCode === 200) return answer.body.json();
    await answer.body.dump();
    const refusal = refusalOf(answer.statusCode, answer.headers['retry-after'], texts.length);
    if (refusal instanceof AgainError) turns.holdFor(refusal.afterMs ?? 0);
    throw refusal;
  }

  return {
    space,
    async embed(texts, signal) {
      const reply = await again.execute(async (context) => {
        try {
          return await ask(texts, context.signal);
        } catch (error) {
          if (error instanceof ProviderError || error instanceof TextRefusedError) throw error;
          throw new AgainError(`The embedding endpoint did not answer: ${messageOf(error)}`);
        }
      }, signal);
      return checkedVectors(vectorsOf(reply), texts.length, space);
    },
    stop: () => agent.destroy(),
  };
}

function refusalOf(status: number, retryAfter: string | string[] | undefined, texts: number): Error {
  const message = `The embedding endpoint answered ${status} for ${texts} texts`;
  if (status === 429 || status >= 500) {
    const afterMs = waitOf(Array.isArray(retryAfter) ? retryAfter[0] : retryAfter);
    return afterMs !== undefined && afterMs > RETRY.longestMs
      ? new ProviderError(`${message}, and requests a wait of ${Math.round(afterMs / 1_000)} s`)
      : new AgainError(message, afterMs);
  }
  // The server refuses the texts. A refused API key does not concern the texts.
  const isAboutTexts = status === 400 || status === 413 || status === 422;
  return isAboutTexts ? new TextRefusedError(message) : new ProviderError(message);
}

/** `Retry-After` in milliseconds: a number of seconds, or a date. */
function waitOf(header: string | undefined): number | undefined {
  if (header === undefined) return undefined;
  const seconds = Number(header);
  const waitMs = Number.isFinite(seconds) ? seconds * 1_000 : Date.parse(header) - Date.now();
  return Number.isFinite(waitMs) ? Math.max(0, waitMs) : undefined;
}

function waits(): DelegateBackoff<IRetryBackoffContext<unknown>> {
  return new DelegateBackoff(({ attempt, result }) => {
    const asked = 'error' in result && result.error instanceof AgainError ? result.error.afterMs : undefined;
    return asked ?? backoffMs(attempt, RETRY) * (0.5 + Math.random() / 2);
  });
}

/** Spreads requests evenly over time. */
interface Turns {
  next(signal: AbortSignal): Promise<void>;
  /** Delays all requests by this time, including those of searches, because the server asked for it. */
  holdFor(ms: number): void;
}

function createTurns(requestsPerMinute: number): Turns {
  const everyMs = 60_000 / requestsPerMinute;
  let nextAt = 0;
  return {
    async next(signal) {
      let waitMs = nextAt - performance.now();
      while (waitMs > 0) {
        await pause(waitMs, undefined, { signal });
        waitMs = nextAt - performance.now();
      }
      nextAt = performance.now() + everyMs;
    },
    holdFor(ms) {
      nextAt = Math.max(nextAt, performance.now() + ms);
    },
  };
}

function vectorsOf(reply: unknown): Vector[] {
  const rows: unknown = isJsonObject(reply) ? reply['data'] : undefined;
  if (!Array.isArray(rows)) throw new ProviderError('The embedding endpoint answered without data');
  const vectors: Vector[] = [];
  rows.forEach((row: unknown, place) => {
    if (!isJsonObject(row) || !Array.isArray(row['embedding']))
      throw new ProviderError('The embedding endpoint answered with a row without an embedding');
    const index = typeof row['index'] === 'number' ? row['index'] : place;
    vectors[index] = row['embedding'] as number[];
  });
  return vectors;
}
