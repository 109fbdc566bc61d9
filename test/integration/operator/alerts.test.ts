import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { systemClock } from '../../../src/shared/clock.ts';
import { serviceName } from '../../../src/domain/ids.ts';
import type { Alert } from '../../../src/engine/guard/guard-ports.ts';
import { WebhookAlerts } from '../../../src/operator/alerts.ts';
import { eventually } from '../../support/eventually.ts';
import { freePort } from '../../support/ports.ts';

const KEY = 'a key';

const ALERT: Alert = {
  kind: 'tripped',
  service: serviceName('session-memory'),
  atMs: Date.UTC(2026, 0, 2),
  finding: {
    service: serviceName('session-memory'),
    trigger: 'errors',
    steps: ['reads_to_legacy'],
    detail: 'orchestrator, 1m',
    numbers: { hits: 5, of: 10 },
  },
};

let receiver: Server;
let url: string;
let alerts: WebhookAlerts;
let problems: string[];
/** What the receiver answers, one after the other; then 200. */
let answers: number[];
let bodies: { readonly status: number; readonly text: string; readonly isSigned: boolean }[];

beforeEach(async () => {
  [problems, answers, bodies] = [[], [], []];
  const port = await freePort();
  url = `http://127.0.0.1:${port}/hook`;
  receiver = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const text = Buffer.concat(chunks).toString();
      const timestamp = String(request.headers['x-crossfade-timestamp']);
      const expected = createHmac('sha256', KEY).update(`${timestamp}.${text}`).digest('hex');
      const status = answers.shift() ?? 200;
      const isSigned = request.headers['x-crossfade-signature'] === `sha256=${expected}`;
      bodies.push({ status, text, isSigned });
      response.writeHead(status).end('thanks');
    });
  });
  receiver.listen(port, '127.0.0.1');
  await once(receiver, 'listening');
  alerts = new WebhookAlerts({
    url,
    key: KEY,
    clock: systemClock,
    retryFirstMs: 1,
    onProblem: (problem) => problems.push(problem),
  });
});

afterEach(async () => {
  await alerts.stop();
  receiver.closeAllConnections();
  receiver.close();
});

test('an alert arrives once, signed, and describes what happened', async () => {
  alerts.send(ALERT);
  await eventually('it arrives', () => bodies.length > 0);
  expect(bodies[0]?.isSigned).toBe(true);
  expect(JSON.parse(bodies[0]?.text ?? '')).toEqual({
    kind: 'tripped',
    service: 'session-memory',
    at: '2026-01-02T00:00:00.000Z',
    trigger: 'errors',
    steps: ['reads_to_legacy'],
    detail: 'orchestrator, 1m',
    numbers: { hits: 5, of: 10 },
  });
});

test('the alert of a trip says how many lanes it does not move', async () => {
  alerts.send({ ...ALERT, flippedLanes: 2 });
  await eventually('it arrives', () => bodies.length > 0);
  expect(JSON.parse(bodies[0]?.text ?? '')).toMatchObject({ kind: 'tripped', flipped_lanes: 2 });
});

test('a receiver that fails gets it again, and alerts keep their order', async () => {
  answers = [500, 503, 429];
  alerts.send(ALERT);
  alerts.send({ ...ALERT, kind: 'released' });
  await eventually('both arrive', () => bodies.filter(({ status }) => status === 200).length === 2);
  expect(bodies.map(({ status }) => status)).toEqual([500, 503, 429, 200, 200]);
  expect(bodies.map(({ text }) => (JSON.parse(text) as Alert).kind)).toEqual([
    ...Array.from({ length: 4 }, () => 'tripped'),
    'released',
  ]);
  expect(problems).toEqual([]);
});

test('an alert is dropped after eight tries, which is reported without its address', async () => {
  answers = Array.from({ length: 8 }, () => 500);
  alerts.send(ALERT);
  await eventually('a problem', () => problems.length > 0);
  expect(bodies).toHaveLength(8);
  expect(problems).toEqual(['the alert "tripped" of session-memory (errors) was dropped: it answered 500']);
});

test('above a hundred waiting alerts, and at a stop, dropped ones are reported', async () => {
  const told: string[] = [];
  const away = new WebhookAlerts({
    url: `http://127.0.0.1:${await freePort()}/hook`,
    key: KEY,
    clock: systemClock,
    retryFirstMs: 600_000,
    onProblem: (problem) => told.push(problem),
  });
  const alertAt = (trigger: Alert['finding']['trigger']): Alert => ({
    ...ALERT,
    finding: { ...ALERT.finding, trigger },
  });
  // One is under way, a hundred wait behind it, and of these the oldest is of another trigger.
  for (const trigger of [
    'errors',
    'latency',
    ...Array.from({ length: 100 }, () => 'external' as const),
  ] as const)
    away.send(alertAt(trigger));
  expect(told).toEqual(['the alert "tripped" of session-memory (latency) was dropped: 100 others wait']);
  await away.stop();
  expect(told).toHaveLength(102);
  expect(told.at(-1)).toContain('(external) was dropped: the proxy stopped');
});

test('a receiver that is away does not keep the proxy from ending', async () => {
  receiver.closeAllConnections();
  receiver.close();
  const slow = new WebhookAlerts({ url, key: KEY, clock: systemClock, onProblem: () => undefined });
  slow.send(ALERT);
  const startedAtMs = performance.now();
  await slow.stop();
  expect(performance.now() - startedAtMs).toBeLessThan(5_000);
});

test('for Slack an alert is an unsigned message with a header, a text and fields', async () => {
  const slack = new WebhookAlerts({
    url,
    format: 'slack',
    deskUrl: 'https://crossfade.example.org',
    clock: systemClock,
    onProblem: () => undefined,
  });
  slack.send({ ...ALERT, finding: { ...ALERT.finding, detail: 'agents <repeat> & ask' } });
  await eventually('it arrives', () => bodies.length > 0);
  await slack.stop();
  expect(bodies[0]?.isSigned).toBe(false);
  const body = JSON.parse(bodies[0]?.text ?? '') as { text: string; blocks: { type: string }[] };
  expect(body.text).toBe('Crossfade: session-memory: reads moved back to legacy');
  expect(body.blocks.map(({ type }) => type)).toEqual(['header', 'section', 'section', 'section']);
  expect(body.blocks[1]).toMatchObject({
    text: { type: 'mrkdwn', text: expect.stringContaining('errors: 5 of 10 failed') as string },
  });
  expect(body.blocks[2]).toMatchObject({
    text: { text: '<https://crossfade.example.org/guard|Open the guard page>' },
  });
  expect(bodies[0]?.text).toContain('agents &lt;repeat&gt; &amp; ask');
});

test('for Teams an alert is an adaptive card with its facts', async () => {
  const teams = new WebhookAlerts({ url, format: 'teams', clock: systemClock, onProblem: () => undefined });
  teams.send(ALERT);
  await eventually('it arrives', () => bodies.length > 0);
  await teams.stop();
  const body = JSON.parse(bodies[0]?.text ?? '') as object;
  expect(body).toMatchObject({
    type: 'message',
    attachments: [
      {
        contentType: 'application/vnd.microsoft.card.adaptive',
        content: {
          type: 'AdaptiveCard',
          body: [
            { type: 'TextBlock', text: 'Crossfade: session-memory: reads moved back to legacy' },
            { type: 'TextBlock' },
            { type: 'FactSet' },
          ],
        },
      },
    ],
  });
});
