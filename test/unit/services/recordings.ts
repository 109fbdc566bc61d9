import { readFileSync } from 'node:fs';
import { message } from './memory-list.ts';

export interface Exchange {
  readonly port: number;
  readonly note: string;
  readonly action: string;
  /** As they were on the wire. */
  readonly request: string;
  readonly response: string;
}

interface Recording {
  readonly exchanges: readonly { port: number; note: string; request?: string; response?: string }[];
}

/** What a real service was recorded to answer; what is no JSON object is left out. */
export function exchangesOf(name: string, wantedPort: number): Exchange[] {
  const path = new URL(`../../fixtures/transcripts/${name}.json`, import.meta.url);
  const { exchanges } = JSON.parse(readFileSync(path, 'utf8')) as Recording;
  return exchanges.flatMap(({ port, note, request, response }) => {
    if (port !== wantedPort || response === undefined || request?.startsWith('{') !== true) return [];
    return [{ port, note, request, response, action: String(message(request).fields['action']) }];
  });
}
