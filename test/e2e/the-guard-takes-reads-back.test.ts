import { execFile } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startSaboteur, type Saboteur } from '../accept/saboteur.ts';
import { startDeployment, type Deployment } from '../support/deployment.ts';
import { eventually } from '../support/eventually.ts';
import { readLane } from '../support/lane-view.ts';
import { freePort } from '../support/ports.ts';
import {
  addInteraction,
  createSession,
  createSessionAgent,
  getContext,
  type SessionAgent,
} from '../support/session-agent.ts';

const execFileAsync = promisify(execFile);
const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
const ALERT_KEY = 'the key that alerts are signed with';
const SIGNAL_TOKEN = 'the-token-of-the-watchdog';
const GUARD = { mode: 'enforce', coolDownSeconds: 0, alertKey: ALERT_KEY, signalToken: SIGNAL_TOKEN };
const SESSIONS = Array.from({ length: 12 }, (_, index) => `s-${index}`);
const SERVICE = 'session-memory';
const TRIP_WITHIN_MS = 60_000;

interface Received {
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

let deployment: Deployment;
let saboteur: Saboteur;
let webhook: Server;
let agent: SessionAgent;
const received: Received[] = [];
/** The receiver is down for its first request. */
let refusals = 1;

async function startWebhook(): Promise<number> {
  const port = await freePort();
  webhook = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      response.statusCode = refusals > 0 ? 503 : 200;
      refusals -= 1;
      if (response.statusCode === 200)
        received.push({ headers: request.headers, body: Buffer.concat(chunks).toString() });
      response.end();
    });
  });
  webhook.listen(port, '127.0.0.1');
  await once(webhook, 'listening');
  return port;
}

beforeAll(async () => {
  const alertUrl = `http://127.0.0.1:${await startWebhook()}/alerts`;
  const front = `tcp://127.0.0.1:${await freePort()}`;
  deployment = await startDeployment({
    config: {
      // On a busy machine late answers would trip it sooner than altered ones.
      orchestrator: { endpoint: front, readTimeoutMs: 2_000 },
      guard: { ...GUARD, alertUrl },
    },
  });
  // Between the proxy and the orchestrator: one write in seven is altered on its way.
  saboteur = await startSaboteur(
    front,
    `tcp://127.0.0.1:${deployment.orchestratorPath.port}`,
    'corrupt-field',
  );
  agent = createSessionAgent(deployment.endpoints[SERVICE]);
  await deployment.ask({ dualWrite: true, shadowRead: 100, readCutover: 100 });
  for (const session of SESSIONS) {
    await agent.ask(createSession(session));
    for (let turn = 0; turn < 8; turn += 1) await agent.ask(addInteraction(session, `turn ${turn}`));
  }
  // Not all sessions: one that a slow minute left to be copied stays stopped, because the saboteur alters the copy as well.
  await eventually('most sessions on the orchestrator', async () => {
    const lanes = await Promise.all(SESSIONS.map((session) => readLane(deployment, session)));
    const delivered = lanes.filter((lane) => lane?.condition === 'clean' && lane.delivered === lane.sequence);
    return delivered.length >= SESSIONS.length / 2;
  });
});

afterAll(async () => {
  agent?.close();
  saboteur?.stop();
  webhook?.close();
  await deployment?.end();
});

const guard = async () => (await deployment.serviceStatus(SERVICE)).guard;

async function post(path: string, body: object, headers: Readonly<Record<string, string>> = {}) {
  const response = await fetch(`${deployment.httpUrl}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  });
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
}

async function readAll(): Promise<string[]> {
  const texts: string[] = [];
  for (const session of SESSIONS) texts.push((await agent.ask(getContext(session))).text);
  return texts;
}

test('altered answers trip the guard within a minute, and legacy answers the reads', async () => {
  // Where nothing was altered, this test would show nothing.
  expect((await readAll()).join()).toContain('(altered)');
  const startedAtMs = performance.now();
  let held: string | null = null;
  while (held === null && performance.now() - startedAtMs < TRIP_WITHIN_MS) {
    await readAll();
    await sleep(200);
    held = (await guard()).held_by;
  }
  expect(held).toBe('inconsistency');
  const before = await deployment.serviceStatus(SERVICE);
  expect((await readAll()).join()).not.toContain('(altered)');
  const after = await deployment.serviceStatus(SERVICE);
  expect(after.reads_by.orchestrator).toBe(before.reads_by.orchestrator);
  expect(after.flags['read-cutover']).toMatchObject({ asked: 100, in_effect: 0, reason: 'latched' });
  // Dual writes go on: a trip lowers reads alone.
  expect(after.coverage).toBeGreaterThan(0);
});

test('a signed alert arrives, although the receiver was down at first', async () => {
  const [alert] = await eventually('an alert', () => received.length > 0 && received);
  const { headers, body } = alert ?? { headers: {}, body: '' };
  const signed = createHmac('sha256', ALERT_KEY)
    .update(`${String(headers['x-crossfade-timestamp'])}.${body}`)
    .digest('hex');
  expect(headers['x-crossfade-signature']).toBe(`sha256=${signed}`);
  expect(JSON.parse(body)).toMatchObject({ kind: 'tripped', service: SERVICE, trigger: 'inconsistency' });
});

test('a trip leaves a bundle without secrets and without owners', async () => {
  const list = async () =>
    ((await (await fetch(`${deployment.httpUrl}/v1/guard/bundles`)).json()) as { bundles: Head[] }).bundles;
  interface Head {
    readonly bundle: number;
    readonly service: string;
    readonly trigger: string;
    readonly bytes: number;
  }
  const [head] = await eventually('a bundle', async () => (await list()).length > 0 && list());
  expect(head).toMatchObject({ service: SERVICE, trigger: 'inconsistency' });
  const read = async () => (await fetch(`${deployment.httpUrl}/v1/guard/bundles/${head?.bundle}`)).text();
  // It is written once more when what the last seconds brought is stored.
  const books = ['minutes', 'differences', 'signatures'] as const;
  const text = await eventually('what led to it', async () => {
    const found = await read();
    const written = JSON.parse(found) as Record<(typeof books)[number], object[]>;
    return books.every((book) => written[book].length > 0) && found;
  });
  const bundle = JSON.parse(text) as Record<string, unknown>;
  expect(bundle).toMatchObject({
    service: SERVICE,
    latch: { finding: { trigger: 'inconsistency' } },
    versions: { crossfade: expect.any(String) as string, node: process.version, journal: 'postgres' },
    settings: { guard: { alertKey: '(set)', signalToken: '(set)', mode: 'enforce' } },
    status: { service: { service: SERVICE } },
  });
  expect(bundle['cut']).toBeUndefined();
  expect(JSON.stringify(bundle['flags'])).toContain('"rollout":"100"');
  for (const secret of [
    ALERT_KEY,
    SIGNAL_TOKEN,
    'password',
    '(altered)',
    ...SESSIONS.map((one) => `/${one}"`),
  ])
    expect(text).not.toContain(secret);
  expect((await fetch(`${deployment.httpUrl}/v1/guard/bundles/4711`)).status).toBe(404);
});

test('every decision can be explained', async () => {
  const response = await fetch(`${deployment.httpUrl}/v1/explain/${SERVICE}/${SESSIONS[0]}`);
  const explained = (await response.json()) as {
    decisions: Record<string, object>;
    inputs: { fence: string; guard: object };
    writes: { operation_id: string }[];
  };
  expect(explained.decisions['get_context']).toMatchObject({
    primary: 'legacy',
    reason: 'latched',
    limit: { at_most: 0, lowered_by: 'latched' },
  });
  expect(explained.inputs).toMatchObject({ fence: 'open', guard: { held_by: 'inconsistency' } });
  expect(explained.writes).toHaveLength(9);
  const operation = explained.writes[0]?.operation_id;
  const timeline = await fetch(`${deployment.httpUrl}/v1/explain/${SERVICE}/${operation}`);
  expect(await timeline.json()).toMatchObject({
    owner: SESSIONS[0],
    operation: {
      id: operation,
      legacy: 'applied',
      // A slow minute leaves a lane to be copied: then its first copy carried the write.
      orchestrator: {
        standing: expect.stringMatching(/^(delivered|copied)$/) as string,
        item: { memory_id: `mem-${operation}` },
      },
    },
  });
});

test('the latch survives a restart', async () => {
  await deployment.restart();
  expect((await guard()).held_by).toBe('inconsistency');
  const { orchestrator: before } = (await deployment.serviceStatus(SERVICE)).reads_by;
  agent.close();
  agent = createSessionAgent(deployment.endpoints[SERVICE]);
  expect((await readAll()).join()).not.toContain('(altered)');
  expect((await deployment.serviceStatus(SERVICE)).reads_by.orchestrator).toBe(before);
});

test('a release needs a person and a reason, is audited, and reads move again', async () => {
  for (const wish of [{ person: 'ann' }, { reason: 'repaired' }, { person: 'ann', reason: ' ' }]) {
    expect((await post('/v1/guard/release', { service: SERVICE, ...wish })).status).toBe(400);
  }
  expect((await guard()).held_by).toBe('inconsistency');
  const wish = { service: SERVICE, person: 'ann', reason: 'the saboteur has left', even_so: true };
  expect(await post('/v1/guard/release', wish)).toMatchObject({ status: 200, body: { released: SERVICE } });
  // What was compared in the last second is counted with the next, and the saboteur is still there: that may trip it once more.
  await eventually('a release that lasts', async () => {
    const isFree = (await guard()).held_by === null;
    return (await post('/v1/guard/release', wish)).status === 409 && isFree;
  });
  const audit = (await (await fetch(`${deployment.httpUrl}/v1/audit`)).json()) as { entries: object[] };
  expect(audit.entries[0]).toMatchObject({ command: 'guard release', person: 'ann', reason: wish.reason });
});

test('an external signal needs the token, and trips at once', async () => {
  const wish = { service: 'jarvis-memory', person: 'watcher', reason: 'agents repeat questions' };
  expect((await post('/v1/guard/signal', wish)).status).toBe(401);
  const wrong = { authorization: 'Bearer wrong' };
  expect((await post('/v1/guard/signal', wish, wrong)).status).toBe(401);
  expect((await deployment.serviceStatus('jarvis-memory')).guard.held_by).toBeNull();
  const right = { authorization: `Bearer ${SIGNAL_TOKEN}` };
  expect((await post('/v1/guard/signal', wish, right)).status).toBe(200);
  expect((await deployment.serviceStatus('jarvis-memory')).guard.held_by).toBe('external');
  const metrics = await (await fetch(`${deployment.httpUrl}/metrics`)).text();
  expect(metrics).toContain('crossfade_latched{service="jarvis-memory"} 1');
  expect(metrics).toMatch(/^crossfade_replicas.state="live". 1$/m);
});

test('the command line shows, explains, and replays', async () => {
  const run = async (...args: string[]): Promise<string> => {
    const { stdout } = await execFileAsync(process.execPath, [MAIN, ...args]);
    return stdout;
  };
  const at = ['--url', deployment.httpUrl];
  const status = await run('status', ...at);
  const held = '▲ Reads are held on legacy by external';
  expect(status).toContain(`\njarvis-memory\n  ${held}\n`);
  expect(status).toMatch(/It can be released after \S+Z\./);
  expect(status).toMatch(/\n {4}get_context .* +100 % +\d+ %/);
  expect(status).toContain('too_few_comparisons');
  expect(await run('guard', 'status', ...at)).toContain(held);
  const bundles = await run('guard', 'bundles', ...at);
  // The saboteur is still there: the released service may have tripped again.
  expect(bundles).toMatch(/^trip \d+ .* jarvis-memory +external +\d+ KiB$/m);
  expect(bundles).toMatch(new RegExp(`^trip \\d+ .* ${SERVICE} +inconsistency +\\d+ KiB$`, 'm'));
  const out = join(deployment.legacyFolder, 'bundle.json');
  const number = /^trip (\d+).*jarvis-memory/m.exec(bundles)?.[1] ?? '';
  expect(await run('guard', 'bundle', number, '--out', out, ...at)).toContain(
    `bundle ${number} written to ${out}`,
  );
  expect(JSON.parse(readFileSync(out, 'utf8'))).toMatchObject({ service: 'jarvis-memory' });
  expect(await run('guard', 'bundle', number, ...at)).toContain('trigger: external');
  await expect(run('guard', 'bundle', '4711', ...at)).rejects.toThrow('unknown bundle "4711"');
  expect(await run('explain', SERVICE, 's-0', ...at)).toContain('owner: s-0');
  const refused = run('guard', 'release', SERVICE, '--person', 'ann', ...at);
  await expect(refused).rejects.toThrow('--reason');
  await run('guard', 'accept', SERVICE, 'action:get_context', '--person', 'ann', '--reason', 'seen', ...at);
  const unknown = run(
    'guard',
    'accept',
    SERVICE,
    'action:get_contexts',
    '--person',
    'ann',
    '--reason',
    'typo',
    ...at,
  );
  await expect(unknown).rejects.toThrow('has no read "get_contexts" that can move: use get_context');
  const { actions } = (await deployment.serviceStatus(SERVICE)) as { actions?: Record<string, object> };
  expect(actions?.['get_context']).toMatchObject({ accepted: true });
  const file = join(deployment.legacyFolder, 'minutes.ndjson');
  writeFileSync(file, await run('guard', 'minutes', '--hours', '1', ...at));
  const replayed = JSON.parse(await run('guard', 'backtest', '--from', file, '--json')) as {
    trips: object[];
  };
  expect(replayed.trips[0]).toMatchObject({ service: SERVICE, trigger: 'inconsistency' });
  const lenient = await run('guard', 'backtest', '--from', file, '--mismatch-rate', '1', '--error-rate', '1');
  expect(lenient).toMatch(/^0 trips in \d+ minutes?/);
});
