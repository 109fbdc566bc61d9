import { readFileSync } from 'node:fs';
import { isJsonObject, type JsonObject } from '../../../src/domain/json.ts';
import type { Answer, OrchestratorClient } from '../../support/orchestrator.ts';

interface Exchange {
  readonly port: number;
  readonly note: string;
  readonly request: unknown;
  readonly response: JsonObject;
}

const FOLDER = new URL('../../fixtures/transcripts/', import.meta.url);

/** What one of the original orchestrators was asked over its main port, and answered. */
export function readExchanges(name: string): Exchange[] {
  const text = readFileSync(new URL(`${name}.json`, FOLDER), 'utf8');
  const { exchanges } = JSON.parse(text) as { exchanges: Exchange[] };
  return exchanges.filter(({ port }) => port === 5576);
}

/** Where our answer differs from the recorded one. */
export interface Difference {
  readonly exchange: number;
  readonly recorded: unknown;
  readonly ours: unknown;
}

// Made anew each time, or spelled differently on purpose: UTC as Z with milliseconds, and ids with all of a UUID.
const GENERATED: ReadonlySet<string> = new Set([
  'memory_id',
  'session_id',
  'created_at',
  'updated_at',
  'ended_at',
  'timestamp',
]);

/** Asks the recorded requests again, in order, with the ids that ours gave, and tells every difference. */
export async function replay(
  exchanges: readonly Exchange[],
  client: OrchestratorClient,
): Promise<Difference[]> {
  const ids = new Map<string, string>();
  const differences: Difference[] = [];
  for (const [exchange, { request, response }] of exchanges.entries()) {
    const answer = await client.send(withIds(textOf(request), ids));
    learnIds(response, answer, ids);
    const [recorded, ours] = [essence(response), essence(answer)];
    const differs = JSON.stringify(recorded) !== JSON.stringify(withoutMore(ours, recorded));
    if (differs) differences.push({ exchange, recorded, ours });
  }
  return differences;
}

function textOf(request: unknown): string {
  const raw = isJsonObject(request) ? request['raw_bytes_repr'] : undefined;
  return typeof raw === 'string' ? raw.slice(2, -1) : JSON.stringify(request);
}

function withIds(text: string, ids: ReadonlyMap<string, string>): string {
  return [...ids].reduce((changed, [theirs, ours]) => changed.replaceAll(`"${theirs}"`, `"${ours}"`), text);
}

function learnIds(response: JsonObject, { data }: Answer, ids: Map<string, string>): void {
  const theirs = response['data'];
  if (!isJsonObject(theirs) || data === undefined) return;
  for (const name of ['session_id', 'memory_id']) {
    const [old, own] = [theirs[name], data[name]];
    if (typeof old === 'string' && typeof own === 'string') ids.set(old, own);
  }
}

/** What of a reply is neither generated nor wording: a refusal is its code, a success what it holds. */
function essence(reply: {
  readonly status?: unknown;
  readonly error?: unknown;
  readonly data?: unknown;
}): unknown {
  const { status, error, data } = reply;
  if (isJsonObject(error)) return error['code'];
  return data === undefined ? { status } : blanked(data);
}

function blanked(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(blanked);
  if (!isJsonObject(value)) return value;
  const names = Object.keys(value).sort();
  return Object.fromEntries(
    names.map((name) => [name, GENERATED.has(name) ? typeof value[name] : blanked(value[name])]),
  );
}

/** Ours may say more than theirs. */
function withoutMore(ours: unknown, theirs: unknown): unknown {
  if (Array.isArray(ours) && Array.isArray(theirs))
    return ours.map((item, at) => withoutMore(item, theirs[at]));
  if (!isJsonObject(ours) || !isJsonObject(theirs)) return ours;
  const names = Object.keys(ours).filter((name) => name in theirs);
  return Object.fromEntries(names.map((name) => [name, withoutMore(ours[name], theirs[name])]));
}
