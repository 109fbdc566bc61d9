import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createAgent } from '../../src/sandbox/agent.ts';
import { startDeployment, type Deployment } from '../support/deployment.ts';
import { eventually } from '../support/eventually.ts';
import { startRecordingLegacy, type RecordingLegacy } from '../support/recording-legacy.ts';

const OFF = { dualWrite: false, shadowRead: 0, readCutover: 0 };
const SHADOW_READ = { dualWrite: true, shadowRead: 100, readCutover: 0 };

/** JSON texts that a parser and a printer of another language than the service's would change. */
const TEXTS = {
  'not a number': 'NaN',
  infinities: '[Infinity, -Infinity]',
  'a float without a fraction': '1000.0',
  exponents: '[1e400, 1E-7, -0.0]',
  'a big integer': '123456789012345678901234567890',
  'an escaped letter': String.raw`"se\u00f1al"`,
  'a letter in UTF-8': '"señal"',
  'an escaped surrogate pair': String.raw`"\ud83d\ude00"`,
  'a surrogate pair in UTF-8': '"😀"',
  'odd spacing and key order': '{ "zebra":1 ,"a" :[ 1,2 ,3 ], "10": {}, "9":null,\t"B":true }',
  'escapes of many kinds': String.raw`"\/ \b\f\n\r\t \\ \" \u0000 \u2028"`,
} as const;

let deployment: Deployment;
let echo: RecordingLegacy;

beforeAll(async () => {
  echo = await startRecordingLegacy((request) => request);
  deployment = await startDeployment({
    legacy: { 'contextual-memory': echo.endpoint },
    // On a busy machine every comparison comes to its verdict.
    config: { shadow: { timeoutMs: 20_000 } },
  });
});

afterAll(async () => {
  await deployment?.end();
  await echo?.stop();
});

async function ask(endpoint: string, request: string): Promise<string> {
  const agent = createAgent({ endpoint });
  try {
    // Latin 1 shows every byte as itself.
    return (await agent.call(Buffer.from(request))).toString('latin1');
  } finally {
    agent.close();
  }
}

/** Metadata never leaves session-memory, so what it has stored is looked at. */
function storedMetadata(session: string): unknown {
  const sqlite = new DatabaseSync(join(deployment.legacyFolder, 'session_memory.db'), { readOnly: true });
  const row = sqlite.prepare('select metadata from sessions where session_id = ?').get(session);
  sqlite.close();
  return row?.['metadata'];
}

describe.each([
  { stage: 'off', asked: OFF },
  { stage: 'shadow_read', asked: SHADOW_READ },
])('stage $stage', ({ stage, asked }) => {
  beforeAll(() => deployment.ask(asked));

  test.each(Object.entries(TEXTS))('jarvis-memory, %s', async (name, text) => {
    const [through, direct] = [deployment.endpoints['jarvis-memory'], deployment.direct['jarvis-memory']];
    const user = JSON.stringify(`${stage} ${name}`);
    expect(await ask(through, `{"action":"add_memory","user_id":${user},"memory":${text}}`)).toBe(
      '{"status": "ok"}',
    );
    const get = `{"action": "get_memories", "user_id": ${user}}`;
    const reply = await ask(through, get);
    expect(reply).toContain('"memory": ');
    expect(reply).toBe(await ask(direct, get));
  });

  test.each(Object.entries(TEXTS))('session-memory, %s', async (name, text) => {
    const [through, direct] = [deployment.endpoints['session-memory'], deployment.direct['session-memory']];
    const create = (session: string): string =>
      `{"action":"create_session", "metadata":{"it" : ${text}}, "session_id":${JSON.stringify(session)}, "request_id": ${text}}`;
    const [ours, theirs] = [`${stage} ${name}`, `direct ${stage} ${name}`];
    const created = await ask(through, create(ours));
    expect(created).toContain('"status": "success"');
    // The service answers with the id and with the request's id, which may be anything.
    expect(created.replace(ours, '')).toBe((await ask(direct, create(theirs))).replace(theirs, ''));
    expect(storedMetadata(ours)).toEqual(expect.stringContaining('"it": '));
    expect(storedMetadata(ours)).toBe(storedMetadata(theirs));

    const content = JSON.stringify(text);
    const session = JSON.stringify(ours);
    await ask(
      through,
      `{"action":"add_interaction","session_id":${session},"role":"user","content":${content}}`,
    );
    const get = `{"action":"get_context","session_id":${session},"request_id":${text}}`;
    const reply = await ask(through, get);
    expect(reply).toContain('"role": "user"');
    expect(reply).toBe(await ask(direct, get));
  });

  test.each(Object.entries(TEXTS))('a reply that no shipped service would give, %s', async (_name, text) => {
    const request = `{ "action":"get_context","session_id" : "s", "it":${text}}`;
    const reply = await ask(deployment.endpoints['contextual-memory'], request);
    expect(reply).toBe(Buffer.from(request).toString('latin1'));
    expect(echo.received.at(-1)?.map((frame) => frame.toString('latin1'))).toEqual([reply]);
  });
});

async function isThrough(): Promise<void> {
  await eventually('deliveries, copies and comparisons through', async () => {
    const { deliveries, copies, shadow_reads: shadowReads } = (await deployment.status()).backlog;
    return deliveries + copies + shadowReads === 0;
  });
}

/** What was asked above in stage shadow_read, without the writes. */
async function readAgain(service: 'session-memory' | 'jarvis-memory'): Promise<void> {
  for (const name of Object.keys(TEXTS)) {
    const owner = JSON.stringify(`shadow_read ${name}`);
    const request =
      service === 'jarvis-memory'
        ? `{"action": "get_memories", "user_id": ${owner}}`
        : `{"action": "get_context", "session_id": ${owner}}`;
    await ask(deployment.endpoints[service], request);
  }
}

test.each(['session-memory', 'jarvis-memory'] as const)(
  '%s: relayed writes reach the orchestrator, and reads there give the same',
  async (service) => {
    await isThrough();
    const { comparisons: before } = await deployment.serviceStatus(service);
    await readAgain(service);
    const compared = ({ match, mismatch, not_comparable }: typeof before): number =>
      match + mismatch + not_comparable;
    // A comparison begins after its answer: for a moment nothing shows that it is due.
    const comparisons = await eventually('as many comparisons', async () => {
      const { comparisons: now } = await deployment.serviceStatus(service);
      return compared(now) >= compared(before) + Object.keys(TEXTS).length && now;
    });
    const match = before.match + Object.keys(TEXTS).length;
    expect(comparisons).toMatchObject({ mismatch: 0, not_comparable: before.not_comparable, match });
  },
);
