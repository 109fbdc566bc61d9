import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { createAgent } from '../../src/sandbox/agent.ts';
import { resultOf, runCommand } from '../support/command.ts';
import { startDeployment, type Deployment } from '../support/deployment.ts';
import { eventually } from '../support/eventually.ts';
import { everythingDelivered, readLegacy, readOrchestrator } from '../support/lane-view.ts';
import { addInteraction, createSession } from '../support/session-agent.ts';

const ANN = { person: 'ann', reason: 'looked at legacy' };

let deployment: Deployment;
let session: string;

beforeAll(async () => {
  deployment = await startDeployment();
  await deployment.ask({ dualWrite: true, shadowRead: 0, readCutover: 0 });
});

afterAll(async () => {
  await deployment?.end();
});

/** Each test has a session whose writes the orchestrator answers, and that another program deletes on legacy. */
beforeEach(async ({ task }) => {
  session = `s-${task.id}`;
  await ask(deployment.endpoints, createSession(session), addInteraction(session, 'before'));
  await everythingDelivered(deployment);
  await deployment.journal(
    `update lanes set primary_backend = 'orchestrator', epoch = epoch + 1 where owner = '${session}'`,
  );
  await ask(deployment.direct, { action: 'delete_session', session_id: session });
  await ask(deployment.endpoints, addInteraction(session, 'one'), addInteraction(session, 'two'));
});

async function ask(at: Deployment['direct'], ...requests: readonly object[]): Promise<void> {
  const agent = createAgent({ endpoint: at['session-memory'], receiveTimeoutMs: 20_000 });
  try {
    for (const request of requests) await agent.call(JSON.stringify(request));
  } finally {
    agent.close();
  }
}

interface Halted {
  readonly operation_id: string;
  readonly lane: string;
  readonly reason: string;
  readonly waiting_behind: number;
}

async function run(...args: readonly string[]): Promise<string> {
  const { stdout, stderr } = await runCommand([...args, '--url', deployment.httpUrl]);
  return stdout + stderr;
}

const listed = async (): Promise<Halted | undefined> => {
  const answer = await runCommand(['reverse', 'list', '--json', '--url', deployment.httpUrl]);
  return resultOf<{ reverse: Halted[] }>(answer).reverse.find(({ lane }) => lane.endsWith(session));
};

const halted = (): Promise<Halted> => eventually('a halted write', listed);

async function decide(decision: string): Promise<string> {
  const { operation_id: id } = await halted();
  return run('reverse', decision, id, '--person', ANN.person, '--reason', ANN.reason);
}

test('the list and the status say which write waits, and why', async () => {
  expect(await halted()).toMatchObject({ reason: 'owner_gone', waiting_behind: 1 });
  expect(await run('reverse', 'list')).toContain('legacy does not have the owner any more');
  expect(await run('status')).toMatch(/halted writes to legacy +\d+ \(crossfade reverse list/);
  expect(await readOrchestrator(deployment, session)).toEqual(['user: before', 'user: one', 'user: two']);
  await ask(deployment.direct, createSession(session));
  await decide('retry');
});

test('a retried write is sent, and the later ones follow', async () => {
  await halted();
  await ask(deployment.direct, createSession(session));
  expect(await decide('retry')).toContain('is sent to legacy again');
  await everythingDelivered(deployment);
  expect(await readLegacy(deployment, session)).toEqual(['user: one', 'user: two']);
  const [entry] = await deployment.journal<{ command: string; person: string; reason: string }>(
    'select command, person, reason from audit order by id desc limit 1',
  );
  expect(entry).toEqual({ command: 'reverse retry', ...ANN });
});

test('a retry waits for a restart of the proxy too', async () => {
  await halted();
  await deployment.crash();
  await ask(deployment.direct, createSession(session));
  expect(await halted()).toMatchObject({ reason: 'owner_gone' });
  await decide('retry');
  await everythingDelivered(deployment);
  expect(await readLegacy(deployment, session)).toEqual(['user: one', 'user: two']);
});

test('a skipped write never reaches legacy, and a return would lose it', async () => {
  await halted();
  await ask(deployment.direct, createSession(session));
  expect(await decide('skip')).toContain('is skipped');
  await everythingDelivered(deployment);
  expect(await readLegacy(deployment, session)).toEqual(['user: two']);
  expect(await run('status')).toMatch(/skipped writes +1 \(a return to legacy loses them\)/);
});

test('a write that legacy has by other means is not sent', async () => {
  await halted();
  await ask(deployment.direct, createSession(session), addInteraction(session, 'one'));
  expect(await decide('assume-applied')).toContain('counts as applied on legacy');
  await everythingDelivered(deployment);
  expect(await readLegacy(deployment, session)).toEqual(['user: one', 'user: two']);
});
