import { readFileSync } from 'node:fs';
import { createAgent } from '../../../src/sandbox/agent.ts';
import type { Agent } from '../../../src/sandbox/agent.ts';
import { loadPythonJson } from '../../../src/sandbox/python-json.ts';
import { parsePythonJson } from '../../../src/sandbox/python-json-parser.ts';
import { PythonFloat, typeName } from '../../../src/sandbox/python-values.ts';
import type { PythonValue } from '../../../src/sandbox/python-values.ts';

/** One request and its reply, as the original programs wrote and read them (Python's JSON text). */
export interface Exchange {
  readonly port: number;
  readonly note: string;
  readonly request?: string;
  readonly requestHex?: string;
  readonly response: string;
}

export interface Recording {
  readonly exchanges: readonly Exchange[];
  readonly storeFile?: string;
  readonly sqlite?: {
    readonly schema: readonly (string | null)[];
    readonly sessions: readonly (readonly (string | null)[])[];
    readonly interactions: readonly unknown[];
  };
}

const FOLDER = new URL('../../fixtures/transcripts/', import.meta.url);

export function readRecording(name: string): Recording {
  return JSON.parse(readFileSync(new URL(`${name}.json`, FOLDER), 'utf8')) as Recording;
}

export function readWireBytes(): Record<string, unknown> {
  return JSON.parse(readFileSync(new URL('wire_bytes.json', FOLDER), 'utf8')) as Record<string, unknown>;
}

const ISO = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?$/;
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
const isFloat = (value: PythonValue): boolean => value instanceof PythonFloat && value.value >= 0;

/** Members whose value is made anew each time, and what they must look like. */
const GENERATED: ReadonlyMap<string, (value: PythonValue) => boolean> = new Map([
  ['timestamp', (value) => isFloat(value) || (typeof value === 'string' && ISO.test(value))],
  ['last_updated', isFloat],
  ['uptime', isFloat],
  ['uptime_seconds', isFloat],
  ['active_threads', (value) => typeof value === 'number'],
  ['bind_address', (value) => typeof value === 'string' && value.startsWith('tcp://0.0.0.0:')],
]);

/** Where two values differ; int and float are different, and so is another order of keys. */
export function differences(expected: PythonValue, actual: PythonValue, path = '$'): string[] {
  if (typeName(expected) !== typeName(actual))
    return [`${path}: ${typeName(expected)} became ${typeName(actual)}`];
  if (expected instanceof Map && actual instanceof Map) {
    const keys = [...expected.keys()].join();
    if (keys !== [...actual.keys()].join())
      return [`${path}: keys ${keys} became ${[...actual.keys()].join()}`];
    return [...expected].flatMap(([key, value]) =>
      memberDifferences(key, [value, actual.get(key) ?? null], `${path}.${key}`),
    );
  }
  if (Array.isArray(expected) && Array.isArray(actual)) {
    if (expected.length !== actual.length)
      return [`${path}: ${expected.length} elements became ${actual.length}`];
    return expected.flatMap((value, index) => differences(value, actual[index] ?? null, `${path}[${index}]`));
  }
  return scalarText(expected) === scalarText(actual)
    ? []
    : [`${path}: ${scalarText(expected)} became ${scalarText(actual)}`];
}

function memberDifferences(
  key: string,
  [expected, actual]: [PythonValue, PythonValue],
  path: string,
): string[] {
  const looksRight = GENERATED.get(key);
  if (looksRight !== undefined && typeName(expected) === typeName(actual))
    return looksRight(actual) ? [] : [`${path}: ${scalarText(actual)} does not look generated`];
  if (typeof expected === 'string' && UUID.test(expected) && typeof actual === 'string' && UUID.test(actual))
    return [];
  return differences(expected, actual, path);
}

function scalarText(value: PythonValue): string {
  return value instanceof PythonFloat
    ? `float ${value.value}`
    : JSON.stringify(value, (_, item) => String(item));
}

export function replyDifferences(expected: string, reply: Buffer): string[] {
  return differences(parsePythonJson(expected), loadPythonJson(reply));
}

/** Agents by the port that was recorded. */
export function connectAgents(ports: Readonly<Record<number, number>>): Map<number, Agent> {
  return new Map(
    Object.entries(ports).map(([recorded, port]) => [
      Number(recorded),
      createAgent({ endpoint: `tcp://127.0.0.1:${port}` }),
    ]),
  );
}

/** Sends what was recorded and lists what came back differently, each with the note of its exchange. */
export async function replay(
  exchanges: readonly Exchange[],
  agents: ReadonlyMap<number, Agent>,
): Promise<string[]> {
  const found: string[] = [];
  for (const { port, note, request, requestHex, response } of exchanges) {
    const agent = agents.get(port);
    if (agent === undefined) throw new Error(`Nobody plays port ${port}`);
    const reply = await agent.call(request ?? Buffer.from(requestHex ?? '', 'hex'));
    found.push(...replyDifferences(response, reply).map((difference) => `${note}: ${difference}`));
  }
  return found;
}
