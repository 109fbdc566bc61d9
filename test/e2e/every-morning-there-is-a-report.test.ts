import { createServer, type Server } from 'node:http';
import { once } from 'node:events';
import { createHmac } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parse, stringify } from 'yaml';
import { dateAfter, dateOf } from '../../src/operator/report/calendar-day.ts';
import type { Report } from '../../src/operator/report/report.ts';
import { runCommand } from '../support/command.ts';
import { startDeployment, type Deployment } from '../support/deployment.ts';
import { eventually } from '../support/eventually.ts';
import { freePort } from '../support/ports.ts';
import { startProgram } from '../support/processes.ts';
import {
  addInteraction,
  createSession,
  createSessionAgent,
  freshSession,
  getContext,
} from '../support/session-agent.ts';

const ZONE = 'Europe/Berlin';
const KEY = 'the key of reports';
const TURNS = 20;
/** Two creations, the turns, and as many reads. */
const OPERATIONS = 2 * (1 + 2 * TURNS);
const folder = mkdtempSync(join(tmpdir(), 'crossfade-reports-'));

interface Posted {
  readonly body: string;
  readonly signature: string;
  readonly timestamp: string;
}

const posted: Posted[] = [];
let receiver: Server;
let deployment: Deployment;

beforeAll(async () => {
  const port = await freePort();
  receiver = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const { 'x-crossfade-signature': signature, 'x-crossfade-timestamp': timestamp } = request.headers;
      posted.push({
        body: Buffer.concat(chunks).toString(),
        signature: String(signature),
        timestamp: String(timestamp),
      });
      // The first try fails.
      response.statusCode = posted.length === 1 ? 503 : 200;
      response.end();
    });
  }).listen(port, '127.0.0.1');
  await once(receiver, 'listening');
  deployment = await startDeployment({
    asked: { dualWrite: true, shadowRead: 100, readCutover: 0 },
    config: {
      reports: {
        // Every minute, so the report of yesterday is due at midnight. The proxy looks every 20 s at the latest.
        schedule: '* * * * *',
        timeZone: ZONE,
        folder,
        webhookUrl: `http://127.0.0.1:${port}/hook`,
        webhookKey: KEY,
      },
    },
  });
});

afterAll(async () => {
  await deployment?.end();
  receiver.close();
  rmSync(folder, { recursive: true, force: true });
});

const report = (...args: readonly string[]) => runCommand(['report', '--url', deployment.httpUrl, ...args]);

async function sessionReport(): Promise<Report['services'][number]> {
  const { stdout } = await report('--json');
  const found = (JSON.parse(stdout) as Report).services.find(({ service }) => service === 'session-memory');
  if (found === undefined) throw new Error('the report says nothing of session-memory');
  return found;
}

test('the report of the day shows the agents’ requests, in every format', async () => {
  const agent = createSessionAgent(deployment.endpoints['session-memory']);
  for (const session of [freshSession(), freshSession()]) {
    await agent.ask(createSession(session));
    for (let turn = 0; turn < TURNS; turn += 1) {
      await agent.ask(addInteraction(session, `a secret of turn ${turn}`));
      await agent.ask(getContext(session));
    }
  }
  agent.close();
  const counted = await eventually('all operations counted', async () => {
    const { traffic, consistency } = await sessionReport();
    return traffic.operations >= OPERATIONS && consistency.of > 0 && { traffic, consistency };
  });
  expect(counted.traffic).toMatchObject({
    operations: OPERATIONS,
    reads: 2 * TURNS,
    writes: 2 * (1 + TURNS),
  });
  expect(counted.consistency).toMatchObject({ hits: 0, rate: 0 });
  const texts = await Promise.all(['html', 'md', 'json'].map((format) => report('--format', format)));
  for (const { code, stdout } of texts) {
    expect(code).toBe(0);
    expect(stdout).toContain('session-memory');
    expect(stdout).not.toContain('a secret');
  }
  expect(texts[0]?.stdout).toContain(`<data value="${OPERATIONS}">`);
  expect(texts[1]?.stdout).toContain(`- operations: ${OPERATIONS}`);
});

test('the check fails while a criterion of the present stage fails, and lists it', async () => {
  const { code, stdout } = await report('--check');
  expect(code).toBe(1);
  expect(stdout).toContain('session-memory  stage shadow_read');
  expect(stdout).toMatch(/✗ Comparisons of get_context: \d+, needed ≥ 3,000/);
  expect(stdout).toContain('✗ Time since the last full reconciliation: –, needed < 24 h');
});

test('the check passes if every criterion of the present stage passes', async () => {
  await deployment.ask({ dualWrite: true, shadowRead: 0, readCutover: 0 });
  const { code, stdout } = await report('--check', '--json');
  expect((JSON.parse(stdout) as Report).services.map(({ phase }) => phase)).toEqual(
    Array.from({ length: 3 }, () => 'dual_write'),
  );
  expect(code).toBe(0);
});

test('a check that cannot be evaluated differs from one that fails', async () => {
  const { code, stderr } = await runCommand(['report', '--check', '--url', 'http://127.0.0.1:1']);
  expect(code).toBe(2);
  expect(stderr).toContain('no proxy answers');
});

test('a day without a possible report is refused with the valid forms', async () => {
  const refused = await Promise.all(
    ['2026-02-30', 'nonsense', '21/11/2026', '2001-01-01', '2999-01-01'].map((day) => report('--date', day)),
  );
  expect(refused.map(({ code }) => code)).toEqual([1, 1, 1, 1, 1]);
  expect(refused.map(({ stderr }) => stderr.trim())).toEqual([
    expect.stringContaining('invalid day "2026-02-30": use YYYY-MM-DD'),
    expect.stringContaining('invalid day "nonsense": use YYYY-MM-DD'),
    expect.stringContaining('invalid day "21/11/2026": use YYYY-MM-DD'),
    expect.stringContaining('no report of 2001-01-01 is stored'),
    expect.stringContaining('has not begun'),
  ]);
  const unchecked = await report('--check', '--date', 'nonsense');
  const empty = await report('--check', '--date', dateAfter(dateOf(Date.now(), ZONE), -2));
  expect([empty.code, empty.stdout]).toEqual([2, '']);
  expect(empty.stderr).toContain('nothing was recorded on that day');
  expect(unchecked.code).toBe(2);
  expect(unchecked.stderr).toContain('invalid day "nonsense"');
});

test("yesterday's report is made once by two replicas, stored, and delivered", async () => {
  const second = await secondReplica(deployment);
  // As if the proxies had been here for days.
  await deployment.journal(`update schema_steps set applied_at = now() - interval '2 days'`);
  const yesterday = dateAfter(dateOf(Date.now(), ZONE), -1);
  // Two replicas share what is due: the younger report may be there first.
  const days = [yesterday, dateAfter(yesterday, -1)];
  const list = await eventually('the reports are stored', async () => {
    const { stdout } = await report('list', '--json');
    const { reports } = JSON.parse(stdout) as { reports: readonly { date: string }[] };
    return days.every((day) => reports.some(({ date }) => date === day)) && reports;
  });
  expect(list.map(({ date }) => date)).toEqual(days);
  const isDelivered = `select count(*)::int as left from report_deliveries where delivered_at is null`;
  await eventually(
    'every delivery is made',
    async () => (await deployment.journal<{ left: number }>(isDelivered))[0]?.left === 0,
  );
  await second.stop();
  const bodies = posted.map(({ body }) => JSON.parse(body) as { delivery: string; date: string });
  // One was tried again after the receiver's 503, and none was taken twice.
  const [refused, ...taken] = bodies.map(({ date }) => date);
  expect(taken).toHaveLength(list.length);
  expect(new Set(taken)).toEqual(new Set(list.map(({ date }) => date)));
  expect(taken).toContain(refused);
  for (const { body, signature, timestamp } of posted)
    expect(signature).toBe(
      `sha256=${createHmac('sha256', KEY).update(`${timestamp}.${body}`).digest('hex')}`,
    );
  for (const format of ['html', 'md', 'json'])
    expect(readFileSync(join(folder, `${yesterday}.${format}`), 'utf8').trim()).toBe(
      (await report('--date', 'yesterday', '--format', format)).stdout.trim(),
    );
  const metrics = await (await fetch(`${deployment.httpUrl}/metrics`)).text();
  expect(metrics).toMatch(/crossfade_last_report_timestamp_seconds \d+/);
});

/** The same proxy once more, on ports of its own. */
async function secondReplica({ configFile, databaseUrl }: Deployment) {
  const config = parse(readFileSync(configFile, 'utf8')) as {
    http: object;
    services: Record<string, { port: number; healthPort?: number }>;
  };
  const services: Record<string, object> = {};
  for (const [name, service] of Object.entries(config.services)) {
    services[name] = {
      ...service,
      port: await freePort(),
      ...(service.healthPort !== undefined && { healthPort: await freePort() }),
    };
  }
  const file = join(folder, 'second.yaml');
  writeFileSync(file, stringify({ ...config, http: { port: await freePort() }, services }));
  return startProgram(['start', '--config', file], { env: { DATABASE_URL: databaseUrl } });
}
