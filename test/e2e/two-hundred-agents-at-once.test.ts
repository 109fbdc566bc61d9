import { afterAll, beforeAll, expect, test } from 'vitest';
import { runCommand } from '../support/command.ts';
import { startDeployment, type Deployment } from '../support/deployment.ts';
import { eventually } from '../support/eventually.ts';
import { everythingDelivered } from '../support/lane-view.ts';
import {
  addInteraction,
  createSession,
  createSessionAgent,
  freshSession,
  getContext,
} from '../support/session-agent.ts';

const AGENTS = 200;
/** With the first, which makes the session, ten calls of each agent. */
const TURNS = ['one', 'two', 'three'];
const CALLS = 10;

let deployment: Deployment;

beforeAll(async () => {
  deployment = await startDeployment({
    asked: { dualWrite: true, shadowRead: 100, readCutover: 0 },
    // On a busy machine two hundred agents wait longer for one serial service than real ones would.
    config: { proxy: { deadlineMs: 15_000 } },
  });
  await deployment.ask({ dualWrite: true, shadowRead: 100, readCutover: 0 });
});

afterAll(async () => {
  await deployment?.end();
});

/** Makes a session, and after each turn reads back all that it wrote itself. Resolves with how many calls that took. */
async function live(session: string): Promise<number> {
  const agent = createSessionAgent(deployment.endpoints['session-memory']);
  let calls = 0;
  const ask = async (request: Readonly<Record<string, unknown>>) => {
    calls += 1;
    const reply = await agent.ask({ ...request, request_id: `${session} ${calls}` });
    expect(reply.status, reply.text).toBe('success');
    expect(reply.text).toContain(`"request_id": "${session} ${calls}"`);
    return reply;
  };
  await ask(createSession(session));
  const written: string[] = [];
  for (const turn of TURNS) {
    for (const speaker of ['user', 'assistant']) {
      const content = `${speaker} of ${session}, ${turn}`;
      await ask({ ...addInteraction(session, content), role: speaker });
      written.push(content);
    }
    const { context = [] } = await ask(getContext(session));
    expect(context.map(({ content }) => content)).toEqual(written);
  }
  agent.close();
  return calls;
}

test('two hundred strict REQ agents get their own replies, correct and in order', async () => {
  const sessions = Array.from({ length: AGENTS }, () => freshSession('many'));
  const calls = await Promise.all(sessions.map((session) => live(session)));
  expect(calls).toEqual(sessions.map(() => CALLS));

  await everythingDelivered(deployment);
  await eventually('comparisons through', async () => (await deployment.status()).backlog.shadow_reads === 0);
  const { comparisons, lanes } = await deployment.serviceStatus('session-memory');
  expect(lanes).toEqual({
    total: AGENTS,
    seeded: AGENTS,
    dirty: 0,
    differs: 0,
    copying: 0,
    stopped: 0,
    excepted: 0,
    flipped: 0,
    legacy_differs: 0,
  });
  expect(comparisons.mismatch).toBe(0);
  expect(comparisons.match).toBeGreaterThan(0);
  const stored = await deployment.store<{ count: number }>(
    'select count(*)::int as count from memory_entries where is_active',
  );
  expect(stored).toEqual([{ count: AGENTS * TURNS.length * 2 }]);
});

test('agents are listed by name with their requests, and counted in a gauge', async () => {
  const url = `${deployment.httpUrl}/v1/services/session-memory`;
  for (const name of ['planner', 'writer'])
    await fetch(url, {
      method: 'POST',
      headers: { 'crossfade-agent': name },
      body: JSON.stringify(getContext('s-1')),
    });
  const { stdout } = await runCommand(['agents', '--json', '--url', deployment.httpUrl]);
  const { agents } = JSON.parse(stdout) as { agents: readonly Record<string, unknown>[] };
  expect(agents).toEqual(
    expect.arrayContaining([
      expect.objectContaining({ service: 'session-memory', agent: 'planner', dialect: 'http', requests: 1 }),
      expect.objectContaining({ agent: 'writer', dialect: 'http' }),
      expect.objectContaining({ agent: '127.0.0.1', dialect: 'zmq', requests: AGENTS * CALLS }),
    ]),
  );
  const table = await runCommand(['agents', '--service', 'session-memory', '--url', deployment.httpUrl]);
  expect(table.stdout).toMatch(/planner +session-memory +http +1 /);
  const wrong = await runCommand(['agents', '--service', 'nowhere', '--url', deployment.httpUrl]);
  expect([wrong.code, wrong.stderr]).toEqual([1, expect.stringContaining('unknown service "nowhere"')]);
  await eventually('the gauge', async () => {
    const text = await (await fetch(`${deployment.httpUrl}/metrics`)).text();
    return text.includes('crossfade_agents_seen{service="session-memory"} 3');
  });
});
