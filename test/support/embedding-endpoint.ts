import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { freePort } from './ports.ts';

interface Asked {
  readonly model: string;
  readonly texts: readonly string[];
  readonly authorization: string | undefined;
  readonly atMs: number;
}

/** What an endpoint does with a request before it would answer it. True: it has been dealt with. */
export type Mood = (asked: Asked, response: ServerResponse) => boolean | Promise<boolean>;

/** Speaks OpenAI's `POST /v1/embeddings`. Its vectors count words, so that texts with common words are near each other. */
export interface EmbeddingEndpoint {
  readonly url: string;
  /** Every request so far. */
  readonly asked: Asked[];
  /** Until it is told otherwise. */
  mood: Mood;
  stop(): Promise<void>;
}

export const calm: Mood = () => false;

export function answering(status: number, headers: Record<string, string> = {}): Mood {
  return (_asked, response) => {
    response.writeHead(status, headers).end('{"error":{"message":"no"}}');
    return true;
  };
}

/** Never answers. */
export const silent: Mood = () => true;

export async function startEmbeddingEndpoint(
  dimensionOf: (model: string) => number,
): Promise<EmbeddingEndpoint> {
  const port = await freePort();
  const asked: Asked[] = [];
  const endpoint = { url: `http://127.0.0.1:${port}/v1`, asked, mood: calm, stop };

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let text = '';
    for await (const chunk of request) text += String(chunk);
    const { model, input } = JSON.parse(text) as { model: string; input: string[] };
    const one = {
      model,
      texts: input,
      authorization: request.headers.authorization,
      atMs: performance.now(),
    };
    asked.push(one);
    if (await endpoint.mood(one, response)) return;
    const data = input.map((words, index) => ({ index, embedding: countWords(words, dimensionOf(model)) }));
    // The order of the answer is not the order of the question; `index` tells.
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ object: 'list', model, data: data.toReversed() }));
  }

  const server = createServer((request, response) => void answer(request, response));
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));

  async function stop(): Promise<void> {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
  return endpoint;
}

function countWords(text: string, dimension: number): number[] {
  const vector = Array.from({ length: dimension }, () => 0.01);
  for (const word of text.toLowerCase().match(/\w+/g) ?? []) {
    const place = createHash('sha256').update(word).digest().readUInt16BE() % dimension;
    vector[place] = (vector[place] ?? 0) + 1;
  }
  return vector;
}
